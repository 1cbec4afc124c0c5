//! Routes that do less than they seem to: hidden by others, or gone around by a small change of the request.

use http::Method;

use crate::domain::rule::Demand;
use crate::proxy::canonical::METHODS;
use crate::proxy::route::pattern::End;
use crate::proxy::route::{Compiled, Routes, Shadowed};

impl Routes {
    /// Routes that do less than they seem to; worth a warning, no reason not to start.
    #[must_use]
    pub fn shadowed(&self) -> Vec<Shadowed> {
        let ways = [Self::unreachable, Self::hidden_on_own_host, Self::around_by_slash, Self::around_by_head];
        let mut found: Vec<_> = self
            .compiled
            .iter()
            .flat_map(|route| ways.iter().filter_map(move |way| Some((route, way(self, route)?))))
            .map(|(route, why)| Shadowed { index: route.route.index, route: route.route.name.to_string(), why })
            .collect();
        found.sort_by_key(|shadowed| shadowed.index);
        found
    }

    /// Every method is taken by routes with the same pattern.
    fn unreachable(&self, route: &Compiled) -> Option<String> {
        let any = METHODS.iter().chain(&self.spelling.methods);
        let mut methods =
            if route.methods.is_empty() { any.collect() } else { Vec::from_iter(&route.methods) }.into_iter();
        let rivals: Vec<_> = self
            .compiled
            .iter()
            .take_while(|rival| rival.route.index != route.route.index)
            .filter(|rival| rival.pattern == route.pattern && rival.host == route.host)
            .collect();
        let taken = |method| rivals.iter().any(|rival| rival.methods.contains(method));
        if rivals.is_empty() || !methods.all(taken) {
            return None;
        }
        let names: Vec<_> = rivals.iter().map(|rival| format!("`{}`", rival.route.name)).collect();
        Some(format!("is never reached: {} take every method of the same path", names.join(", ")))
    }

    /// A route without host wins on this route's host because its path is more specific.
    fn hidden_on_own_host(&self, route: &Compiled) -> Option<String> {
        route.host.as_ref()?;
        let rival =
            self.compiled.iter().take_while(|rival| rival.route.index != route.route.index).find(|rival| {
                rival.host.is_none() && rival.pattern.overlaps(&route.pattern) && stricter(route, rival)
            })?;
        Some(format!(
            "does not cover what `{}` matches: that path is more specific and names no host, so it wins on this host too, \
             and it demands less",
            rival.route.name
        ))
    }

    /// The same path with a slash at its end goes to a route that demands less.
    fn around_by_slash(&self, route: &Compiled) -> Option<String> {
        let path = route.pattern.sample();
        if route.pattern.end == End::Below || path.ends_with('/') {
            return None;
        }
        let method = route.methods.first().unwrap_or(&Method::GET);
        let rival = self.compiled_for(route.host.as_deref(), &format!("{path}/"), method)?;
        stricter(route, rival).then(|| {
            format!(
                "with a slash at the end its path goes to `{}`, which demands less; many applications take both for the \
                 same page: end the path with `/**`",
                rival.route.name
            )
        })
    }

    /// `GET` is named and `HEAD` is not, and `HEAD` goes to a route that demands less.
    fn around_by_head(&self, route: &Compiled) -> Option<String> {
        if !route.methods.contains(&Method::GET) || route.methods.contains(&Method::HEAD) {
            return None;
        }
        let rival = self.compiled_for(route.host.as_deref(), &route.pattern.sample(), &Method::HEAD)?;
        stricter(route, rival)
            .then(|| format!("`HEAD` of the same path goes to `{}`, which demands less; name it too", rival.route.name))
    }

    fn compiled_for(&self, host: Option<&str>, key: &str, method: &Method) -> Option<&Compiled> {
        // a route for any host is looked at on a host that no route names
        self.compiled.get(self.tree.find(host.unwrap_or_default(), key, method)?)
    }
}

fn stricter(route: &Compiled, rival: &Compiled) -> bool {
    strictness(&route.route.rule.demand) > strictness(&rival.route.rule.demand)
}

const fn strictness(demand: &Demand) -> u8 {
    match demand {
        Demand::Public => 0,
        Demand::SignedIn => 1,
        Demand::AnyRole(_) | Demand::AllRoles(_) => 2,
        Demand::Nobody => 3,
    }
}
