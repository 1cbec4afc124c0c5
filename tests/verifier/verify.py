#!/usr/bin/env python3
"""Verifies an exported journal, written from the README's description of the format and from nothing else.

    verify.py EXPORT... --key HEX [--expect-head SEQUENCE:HASH] [--anchor FILE]

Several exports must join: archives, oldest first, and then what remained. What lies beside an archive as EXPORT.uses is held
against what its records seal. Exit code 0 and the head when all is as it was written; 1 and the first bad record, or the
uses that are not those that were sealed, when it is not; 70 and the first record that only a later hallpass knows, which is
authentic, and leaves open what follows from it.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import sys
from datetime import datetime, timedelta, timezone

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ORIGIN = "hallpass.dev/journal/"
MEMBERS = ["sequence", "time", "core", "previous", "hash", "signature"]
EVENTS = """journal_opened configuration_applied assignment_made assignment_changed assignment_ended activation_requested
    activation_decided activation_started extension_requested extension_ended activation_extended activation_shortened
    activation_ended uses_sealed principal_locked principal_unlocked credentials_revoked key_rotated anchor_confirmed
    journal_succeeded notes_erased journal_cut""".split()
OF_JOURNAL = ["journal_opened", "key_rotated", "anchor_confirmed", "journal_succeeded", "journal_cut"]


class Bad(Exception):
    """A record is not as it was written."""


class Later(Bad):
    """A record is authentic, and of a version or type that this verifier does not know."""


def check(holds, what):
    if not holds:
        raise Bad(what)


def hexadecimal(text, length):
    check(isinstance(text, str) and re.fullmatch("[0-9a-f]{%d}" % (2 * length), text), "not lower-case hexadecimal")
    return bytes.fromhex(text)


def verifies(key, message, signature):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        return True
    except (InvalidSignature, ValueError):
        return False


def readable(milliseconds):
    at = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=milliseconds)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (milliseconds % 1000)


def members(line):
    """The members of one line, which has one spelling only."""
    try:
        record = json.loads(line)
    except ValueError:
        raise Bad("not JSON")
    check(isinstance(record, dict), "not an object")
    with_note = MEMBERS + ["note", "salt"]
    check(list(record) in (MEMBERS, with_note), "other members, or another order")
    check(all(isinstance(value, str) for name, value in record.items() if name != "sequence"), "a member is no string")
    again = json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"
    check(again == line, "another spelling")
    return record


class Cut:
    """What a journal_cut record states."""

    def __init__(self, sequence, event):
        self.by = sequence
        self.runs = [(run["first"], run["last"]) for run in event["records"]]
        self.hash = hexadecimal(event["hash"], 32)
        self.archive = hexadecimal(event["archive"], 32)
        hexadecimal(event["carried"], 32)
        free = 2
        for first, last in self.runs:
            check(free <= first <= last < sequence, "it states a cut that cannot be")
            free = last + 2
        check(self.runs, "it states a cut that cannot be")

    @property
    def last(self):
        return self.runs[-1][1]


class Blocks:
    """The uses of one activation, block by block."""

    def __init__(self, activation):
        self.activation = activation
        self.count, self.digest = 0, bytes(32)

    def take(self, number, value):
        after = "the uses of %s were changed after number %d" % (self.activation, self.count)
        digest, body = value[:32], value[32:]
        check(digest == hashlib.sha256(self.digest + body).digest(), after)
        check(self.count + entries(body, after) == number, after)
        self.count, self.digest = number, digest


def entries(body, wrong):
    """How many uses a block holds."""
    check(body[:1] == b"\x01", wrong)
    at, count = 1, 0

    def text():
        nonlocal at
        check(at + 2 <= len(body), wrong)
        at += 2 + int.from_bytes(body[at : at + 2], "big")
        check(at <= len(body), wrong)

    text(), text()
    while at < len(body):
        at += 8
        for _ in range(5):
            text()
        count += 1
    return count


def named(activation):
    """An activation's id as it is written."""
    number, digits = int.from_bytes(activation, "big"), ""
    for _ in range(26):
        number, digits = number >> 5, "0123456789abcdefghjkmnpqrstvwxyz"[number & 31] + digits
    return "act_" + digits


def held_uses(path, sealed):
    """Holds the blocks in a file beside an archive against what the archive's records seal; how many uses it holds."""
    blocks, last = {}, b""
    with open(path, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            try:
                row = json.loads(line)["row"]
                table, key, value = row["table"], bytes.fromhex(row["key"]), bytes.fromhex(row["value"])
            except (KeyError, TypeError, ValueError):
                raise Bad("a line of %s is none of uses" % path)
            again = {"row": {"table": table, "key": key.hex(), "value": value.hex()}}
            check(json.dumps(again, separators=(",", ":")) + "\n" == line, "a line of %s has another spelling" % path)
            check(table == "use_blocks" and len(key) == 24, "a line of %s is none of uses" % path)
            activation = named(key[:16])
            check(key > last, "uses of %s stand out of their place" % activation)
            last = key
            blocks.setdefault(activation, Blocks(activation)).take(int.from_bytes(key[16:], "big"), value)
    for activation, (count, digest) in sealed.items():
        found = blocks.pop(activation, Blocks(activation))
        wrong = "the uses of %s are not the %d that were sealed" % (activation, count)
        check(found.count == count and (count == 0 or found.digest.hex() == digest), wrong)
    check(not blocks, "there are uses which no record of the archive seals: %s" % ", ".join(blocks))
    return sum(count for count, _ in sealed.values())


class Chain:
    """Records that follow one another, and the keys that signed them."""

    def __init__(self, realm, keys, sequence, previous, time):
        self.realm = realm
        self.keys = keys
        self.sequence, self.previous, self.time = sequence, previous, time
        self.cuts = []
        self.erased = 0
        self.lacking = set()

    def take(self, record):
        """A record behind the end of the chain; its event."""
        core = record["core"].encode()
        header = json.loads(record["core"])
        if self.realm is None:
            event = header["event"]
            check(event["type"] == "journal_opened", "it does not begin a journal")
            check(hexadecimal(event["public_key"], 32) == self.keys[0][1], "it begins the journal of another root key")
            realm = event["realm"]
        else:
            realm = self.realm
        check(hexadecimal(record["previous"], 32) == self.previous, "it does not follow the record before")
        number = record["sequence"].to_bytes(8, "big")
        digest = hashlib.sha256(realm.encode() + b"\0" + number + self.previous + core).digest()
        check(digest == hexadecimal(record["hash"], 32), "its hash is not that of its content")
        signature = hexadecimal(record["signature"], 64)
        check(verifies(self.keys[-1][1], b"hallpass/1 event" + digest, signature), "its signature is not by the key in force")
        if header["version"] != 1:
            raise Later("it was written by a later hallpass: version %s is not known" % header["version"])
        event = header["event"]
        if event["type"] not in EVENTS:
            raise Later("it was written by a later hallpass: an event %s is not known" % event["type"])
        check(self.realm is None or event["type"] != "journal_opened", "it begins another journal")
        check(self.time is None or header["time"] >= self.time, "its time lies before that of the record before")
        noted(record, header)
        if "detail" in header and "note" not in record:
            self.lacking.add(record["sequence"])
        if event["type"] == "notes_erased":
            self.erase(record["sequence"], event["records"])
        if event["type"] == "key_rotated":
            self.keys.append((record["sequence"] + 1, hexadecimal(event["public_key"], 32)))
        if event["type"] == "journal_cut":
            self.cuts.append(Cut(record["sequence"], event))
        self.realm = realm
        self.sequence, self.previous, self.time = record["sequence"], digest, header["time"]
        return header

    def erase(self, sequence, runs):
        """What an order says is missing was erased; it names earlier records only."""
        for run in runs:
            named = {lacking for lacking in self.lacking if run["first"] <= lacking <= run["last"] < sequence}
            self.lacking -= named
            self.erased += len(named)


def noted(record, header):
    if "note" in record:
        salt, note = hexadecimal(record["salt"], 32), record["note"].encode()
        check("detail" in header, "a note where there was none")
        digest = hashlib.sha256(b"hallpass/1 note\0" + salt + note).digest()
        check(digest == hexadecimal(header["detail"], 32), "its note is not the one it was written with")


def jumped(chain, record):
    """Takes a record about the journal itself that may stand behind a gap; whether it could be taken."""
    try:
        if record["sequence"] <= chain.sequence:
            return False
        if record["sequence"] > chain.sequence + 1:
            chain.sequence = record["sequence"] - 1
            chain.previous = hexadecimal(record["previous"], 32)
        return chain.take(record)["event"]["type"] in OF_JOURNAL
    except (Bad, KeyError, TypeError, ValueError):
        return False


class Journal:
    def __init__(self, root):
        self.chain = Chain(None, [(1, root)], 0, bytes(32), None)
        self.hashes = {}
        self.confirmed_at = None
        self.predecessors = []
        self.may_lack = True  # nothing but records about the journal itself so far
        self.gap, self.behind_gap = [], None
        self.known = {}  # records about the journal itself: every file has them
        self.last, self.before = (0, None), (0, None)
        self.aside, self.first_aside = None, None
        self.ends = []
        self.sealed = {}  # by the records of this file

    @property
    def keys(self):
        return self.chain.keys

    @property
    def sequence(self):
        return self.chain.sequence

    def next_file(self):
        self.aside_is_whole()
        self.chain.cuts += self.aside.cuts if self.aside else []
        self.aside = None
        self.sealed = {}
        self.before = self.last

    def file_ended(self, digest):
        self.ends.append((self.last, digest))

    def take(self, line):
        record = members(line)
        self.take_record(record)
        time = json.loads(record["core"])["time"]
        check(record["time"] == readable(time), (record["sequence"], "the time shown beside it is not its time"))

    def take_record(self, record):
        sequence, expected = record["sequence"], self.sequence + 1
        check(type(sequence) is int, "its sequence is no number")
        if self.aside:
            check(jumped(self.aside, record), (expected, "it is missing"))
            return
        if sequence < expected:
            late = [first for first, last in self.gap if first <= sequence <= last]
            check(not late, (late[0] if late else 0, "it is missing"))
            known = {name: record[name] for name in MEMBERS if name != "time"}
            check(self.known.get(sequence) == known, (expected, "it is missing"))
            noted(record, json.loads(record["core"]))
            return
        if sequence > expected:
            if not self.may_lack or self.chain.realm is None:
                check(self.chain.realm is not None, "it is missing")
                self.aside = Chain(self.chain.realm, list(self.keys), expected - 1, self.chain.previous, self.chain.time)
                self.first_aside = sequence
                check(jumped(self.aside, record), "it is missing")
                return
            before = (self.chain.sequence, self.chain.previous)
            self.chain.sequence, self.chain.previous = sequence - 1, hexadecimal(record["previous"], 32)
            try:
                self.placed(record)
            except (Bad, KeyError, TypeError, ValueError):
                self.chain.sequence, self.chain.previous = before
                raise Bad((expected, "it is missing"))
            self.gap.append((expected, sequence - 1))
            self.behind_gap = hexadecimal(record["previous"], 32)
            return
        self.placed(record)

    def placed(self, record):
        header = self.chain.take(record)
        event = header["event"]
        if event["type"] == "uses_sealed":
            self.sealed[event["activation"]] = (event["count"], event["digest"])
        if event["type"] == "anchor_confirmed":
            self.confirmed_at = header["time"]
        if header["event"]["type"] == "journal_succeeded":
            self.predecessors.append(ORIGIN + header["event"]["predecessor"]["realm"])
        self.hashes[self.sequence] = self.chain.previous
        if event["type"] in OF_JOURNAL:
            self.known[self.sequence] = {name: record[name] for name in MEMBERS if name != "time"}
        else:
            self.may_lack = False
            self.last = (self.sequence, self.chain.previous)

    def states_gap(self, cut):
        return cut.runs == self.gap and cut.hash == self.behind_gap

    def aside_is_whole(self):
        if self.aside:
            cut = self.aside.cuts[-1] if self.aside.cuts else None
            leads = cut and cut.by == self.aside.sequence
            check(leads and (self.states_gap(cut) or (cut.last, cut.hash) == self.before), "it is missing")

    def ended(self):
        check(self.sequence > 0, "it is missing")
        self.aside_is_whole()
        if self.gap:
            cuts = self.chain.cuts + (self.aside.cuts if self.aside else [])
            check(any(self.states_gap(cut) for cut in cuts), (self.gap[0][0], "it is missing"))
        for (sequence, digest), archive in self.ends:
            for cut in self.chain.cuts:
                if cut.last == sequence:
                    check((cut.hash, cut.archive) == (digest, archive), (sequence, "it ends another file than its archive"))

    def is_gone(self, sequence):
        return any(first <= sequence <= last for first, last in self.gap)

    def holds(self, sequence, digest):
        if self.is_gone(sequence):
            return
        check(sequence in self.hashes, (self.sequence + 1, "it is missing"))
        check(self.hashes[sequence] == digest, (sequence, "the head kept elsewhere names another hash"))

    def holds_note(self, text, signatures):
        origin, number, digest, *extensions = text[:-1].split("\n")
        time = next(line[5:] for line in extensions if line.startswith("time "))
        at = datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
        milliseconds = (at - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)
        if self.confirmed_at is not None and milliseconds < self.confirmed_at:
            return 0
        if origin in self.predecessors:
            return 0
        sequence = int(number)
        check(origin == ORIGIN + self.chain.realm, (sequence, "the anchor is one of another journal"))
        check(any(self.signed(origin, text, line) for line in signatures), (sequence, "no key of this journal signed it"))
        self.holds(sequence, base64.b64decode(digest, validate=True))
        return sequence

    def signed(self, origin, text, line):
        name, coded = line[2:].split(" ")
        raw = base64.b64decode(coded, validate=True)
        for _, key in self.keys:
            key_id = hashlib.sha256(name.encode() + b"\n\x01" + key).digest()[:4]
            if name == origin and raw[:4] == key_id and verifies(key, text.encode(), raw[4:]):
                return True
        return False


def notes(path):
    """The signed notes of a file of anchors, each with an empty line behind it."""
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        for note in re.findall(r"(hallpass\.dev/journal/[^\n]*\n(?:[^\n]+\n)+)\n((?:\u2014 [^\n]+\n)+)", file.read()):
            yield note[0], note[1].splitlines()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("export", nargs="+")
    parser.add_argument("--key", required=True)
    parser.add_argument("--expect-head")
    parser.add_argument("--anchor")
    given = parser.parse_args()
    journal = Journal(bytes.fromhex(given.key))
    beside = []
    try:
        for export in given.export:
            journal.next_file()
            with open(export, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").digest()
            with open(export, encoding="utf-8", newline="\n") as lines:
                for line in lines:
                    journal.take(line)
            journal.file_ended(digest)
            beside.append((export + ".uses", journal.sealed))
        journal.ended()
        newest = 0
        if given.expect_head:
            sequence, digest = given.expect_head.split(":")
            journal.holds(int(sequence), bytes.fromhex(digest))
            newest = int(sequence)
        for text, signatures in notes(given.anchor) if given.anchor else ():
            newest = max(newest, journal.holds_note(text, signatures))
        # the newest stands for all before it
        check(not journal.is_gone(newest), (newest, "it was cut: the head must be held against the archive"))
        for sequence in sorted(journal.chain.lacking):
            raise Bad((sequence, "its note is missing, and no record orders that it be erased"))
    except (Bad, KeyError, TypeError, ValueError) as bad:
        told = bad.args[0] if isinstance(bad, Bad) else "it cannot be read: %s" % bad
        sequence, why = told if isinstance(told, tuple) else (journal.sequence + 1, told)
        print("record %d: %s" % (sequence, why))
        return 70 if isinstance(bad, Later) else 1
    print("verified %d records, head %d:%s" % (len(journal.hashes), journal.sequence, journal.chain.previous.hex()))
    try:
        for path, sealed in beside:
            count = sum(count for count, _ in sealed.values())
            if os.path.exists(path):
                print("%d uses in %s, each where it was and sealed" % (held_uses(path, sealed), path))
            elif count > 0:
                print("%d uses are sealed that should lie in %s, which is not there" % (count, path))
    except (Bad, OSError, ValueError) as bad:
        print("uses: %s" % bad)
        return 1
    print("%d notes erased, each as a record orders" % journal.chain.erased)
    for since, key in journal.keys:
        print("key %s from record %d" % (key.hex(), since))
    return 0


if __name__ == "__main__":
    sys.exit(main())
