// A certified OpenID provider on loopback, for the tests: `node server.mjs`, with its settings as one line of JSON on
// standard input. It says `ready` when it listens, and ends when its standard input does.
//
// settings: modules (folder with oidc-provider), port, clients, people (claims by account),
//           heeds_acr (asks for what `acr_values` names; otherwise it signs people in as they are),
//           lifetime (of ID and access tokens, in seconds)
// It says `refreshed` whenever a refresh token was redeemed.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const lines = createInterface({ input: process.stdin });
const settings = JSON.parse(await new Promise((resolve) => lines.once('line', resolve)));
lines.once('close', () => process.exit(0));

const module = pathToFileURL(`${settings.modules}/oidc-provider/lib/index.js`);
const { default: Provider, interactionPolicy } = await import(module);

const issuer = `http://127.0.0.1:${settings.port}`;
const levels = { password: 'urn:example:password', strong: 'urn:example:strong' };

function freshKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' };
}

function policy() {
  const { base, Check } = interactionPolicy;
  const prompts = base();
  prompts.remove('consent');
  if (settings.heeds_acr) {
    prompts.get('login').checks.add(new Check('acr_values', 'a stronger sign-in is asked for', ({ oidc }) => {
      const asked = oidc.params.acr_values?.split(' ') ?? [];
      const met = asked.length === 0 || asked.includes(oidc.acr) || Boolean(oidc.result?.login);
      return met ? Check.NO_NEED_TO_PROMPT : Check.REQUEST_PROMPT;
    }));
  }
  return prompts;
}

const configuration = {
  clients: settings.clients,
  jwks: { keys: [freshKey()] },
  cookies: { keys: [randomUUID()] },
  acrValues: Object.values(levels),
  scopes: ['openid', 'offline_access', 'profile', 'email', 'groups'],
  claims: {
    openid: ['sub', 'acr', 'amr', 'auth_time', 'sid'],
    profile: ['name'],
    email: ['email', 'email_verified'],
    groups: ['groups'],
  },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  ttl: {
    AccessToken: settings.lifetime, IdToken: settings.lifetime, AuthorizationCode: 60, RefreshToken: 3600, Session: 3600, Grant: 3600, Interaction: 600,
  },
  interactions: { policy: policy(), url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  // the clients of the tests live on loopback, where a provider on the Internet rightly sends nothing
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => {
        ctx.body = page('Sign out?', `${form}<button form="op.logoutForm" name="logout" value="yes">Sign out</button>`);
      },
    },
  },
  findAccount: (ctx, accountId) => {
    const person = settings.people[accountId];
    return person && { accountId, claims: () => ({ sub: accountId, email_verified: true, ...person }) };
  },
  loadExistingGrant: async ({ oidc }) => {
    const { provider, session, client } = oidc;
    const grant = new provider.Grant({ accountId: session.accountId, clientId: client.clientId });
    grant.addOIDCScope('openid offline_access profile email groups');
    await grant.save();
    return grant;
  },
};

const provider = new Provider(issuer, configuration);
provider.on('server_error', (ctx, error) => console.error(error));
provider.on('grant.success', ({ oidc }) => {
  if (oidc.params.grant_type === 'refresh_token') console.log('refreshed');
});
provider.on('backchannel.error', (ctx, error) => console.error('back-channel logout:', error.message));

function page(title, body) {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
    <title>${title}</title><h1>${title}</h1>${body}</html>`;
}

// the form says who signs in, at which level, and by which methods
function form(prompt) {
  const why = [...prompt.reasons].join(' ');
  return page('Sign in', `<form method="post"><p id="why">${why}</p>
    <p><label>Account <input name="account" value=""></label></p>
    <p><label><input type="checkbox" name="strong" value="yes"> with a second factor</label></p>
    <p><button>Sign in</button></p></form>`);
}

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return new URLSearchParams(Buffer.concat(chunks).toString());
}

async function interaction(request, response) {
  const { prompt } = await provider.interactionDetails(request, response);
  if (request.method === 'GET') {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(form(prompt));
    return;
  }
  const chosen = await body(request);
  const strong = chosen.get('strong') === 'yes';
  await provider.interactionFinished(request, response, {
    login: {
      accountId: chosen.get('account'),
      acr: strong ? levels.strong : levels.password,
      amr: strong ? ['pwd', 'otp', 'mfa'] : ['pwd'],
    },
  });
}

const answered = provider.callback();
const server = createServer((request, response) => {
  if (!request.url.startsWith('/interaction/')) {
    answered(request, response);
    return;
  }
  interaction(request, response).catch((error) => {
    response.statusCode = 500;
    response.end(String(error));
  });
});
server.listen(settings.port, '127.0.0.1', () => console.log('ready'));
