#!/usr/bin/env python3
"""Verifies an exported journal, written from the README's description of the format and from nothing else.

    verify.py EXPORT --key HEX [--expect-head SEQUENCE:HASH] [--anchor FILE]

Exit code 0 and the head when all is as it was written; 1 and the first bad record when it is not.
"""

import argparse
import base64
import hashlib
import json
import re
import sys
from datetime import datetime, timedelta, timezone

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ORIGIN = "hallpass.dev/journal/"
MEMBERS = ["sequence", "time", "core", "previous", "hash", "signature"]


class Bad(Exception):
    """A record is not as it was written."""


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


class Journal:
    def __init__(self, root):
        self.keys = [(1, root)]
        self.realm = None
        self.sequence = 0
        self.previous = bytes(32)
        self.time = None
        self.hashes = {}
        self.confirmed_at = None
        self.erased = 0
        self.lacking = set()

    def take(self, line):
        record = members(line)
        check(record["sequence"] == self.sequence + 1, "it is missing")
        core = record["core"].encode()
        header = json.loads(record["core"])
        event = header["event"]
        first = self.sequence == 0
        if first:
            check(event["type"] == "journal_opened", "it does not begin a journal")
            check(hexadecimal(event["public_key"], 32) == self.keys[0][1], "it begins the journal of another root key")
            self.realm = event["realm"]
        else:
            check(event["type"] != "journal_opened", "it begins another journal")
        check(hexadecimal(record["previous"], 32) == self.previous, "it does not follow the record before")
        number = record["sequence"].to_bytes(8, "big")
        digest = hashlib.sha256(self.realm.encode() + b"\0" + number + self.previous + core).digest()
        check(digest == hexadecimal(record["hash"], 32), "its hash is not that of its content")
        signature = hexadecimal(record["signature"], 64)
        check(verifies(self.keys[-1][1], b"hallpass/1 event" + digest, signature), "its signature is not by the key in force")
        check(header["version"] == 1, "its version is not known")
        check(self.time is None or header["time"] >= self.time, "its time lies before that of the record before")
        check(record["time"] == readable(header["time"]), "the time shown beside it is not its time")
        if "note" in record:
            salt, note = hexadecimal(record["salt"], 32), record["note"].encode()
            check("detail" in header, "a note where there was none")
            noted = hashlib.sha256(b"hallpass/1 note\0" + salt + note).digest()
            check(noted == hexadecimal(header["detail"], 32), "its note is not the one it was written with")
        elif "detail" in header:
            self.lacking.add(record["sequence"])
        if event["type"] == "notes_erased":
            ordered = {
                sequence
                for run in event["records"]
                for sequence in self.lacking
                if run["first"] <= sequence <= run["last"] < record["sequence"]
            }
            self.lacking -= ordered
            self.erased += len(ordered)
        if event["type"] == "key_rotated":
            self.keys.append((record["sequence"] + 1, hexadecimal(event["public_key"], 32)))
        if event["type"] == "anchor_confirmed":
            self.confirmed_at = header["time"]
        self.sequence, self.previous, self.time = record["sequence"], digest, header["time"]
        self.hashes[self.sequence] = digest

    def holds(self, sequence, digest):
        check(sequence in self.hashes, (self.sequence + 1, "it is missing"))
        check(self.hashes[sequence] == digest, (sequence, "the head kept elsewhere names another hash"))

    def holds_note(self, text, signatures):
        origin, number, digest, *extensions = text[:-1].split("\n")
        time = next(line[5:] for line in extensions if line.startswith("time "))
        at = datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
        milliseconds = (at - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)
        if self.confirmed_at is not None and milliseconds <= self.confirmed_at:
            return
        sequence = int(number)
        check(origin == ORIGIN + self.realm, (sequence, "the anchor is one of another journal"))
        check(any(self.signed(origin, text, line) for line in signatures), (sequence, "no key of this journal signed it"))
        self.holds(sequence, base64.b64decode(digest, validate=True))

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
    with open(path, encoding="utf-8", newline="") as file:
        for note in re.findall(r"(hallpass\.dev/journal/[^\n]*\n(?:[^\n]+\n)+)\n((?:\u2014 [^\n]+\n)+)", file.read()):
            yield note[0], note[1].splitlines()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("export")
    parser.add_argument("--key", required=True)
    parser.add_argument("--expect-head")
    parser.add_argument("--anchor")
    given = parser.parse_args()
    journal = Journal(bytes.fromhex(given.key))
    try:
        with open(given.export, encoding="utf-8", newline="\n") as lines:
            for line in lines:
                journal.take(line)
        check(journal.sequence > 0, "it is missing")
        if given.expect_head:
            sequence, digest = given.expect_head.split(":")
            journal.holds(int(sequence), bytes.fromhex(digest))
        for text, signatures in notes(given.anchor) if given.anchor else ():
            journal.holds_note(text, signatures)
        for sequence in sorted(journal.lacking):
            raise Bad((sequence, "its note is missing, and no record orders that it be erased"))
    except (Bad, KeyError, TypeError, ValueError) as bad:
        told = bad.args[0] if isinstance(bad, Bad) else "it cannot be read: %s" % bad
        sequence, why = told if isinstance(told, tuple) else (journal.sequence + 1, told)
        print("record %d: %s" % (sequence, why))
        return 1
    print("verified %d records, head %d:%s" % (journal.sequence, journal.sequence, journal.previous.hex()))
    print("%d notes erased, each as a record orders" % journal.erased)
    for since, key in journal.keys:
        print("key %s from record %d" % (key.hex(), since))
    return 0


if __name__ == "__main__":
    sys.exit(main())
