"""Invented accounts and posts: a pure function of (handle, day), the same on every machine.

Days start with 2010-11-05. A day's `slots` (ids and kinds) are cheap and cached; the `post` in a slot is
written on request. On every day, an account that `shows` has a long post, an edited one, and one with every
part of a post. Only `Random.random()` is used, because Python promises to keep its stream.
"""

import hashlib
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple, TypeVar

from local.x_api.texts import FULL, LONG, SENTENCES, SPECIAL_CASES, WORDS
from local.x_api.writing import code, cut, typed

_SHARES = {  # of the likes
    "retweet_count": 0.2,
    "reply_count": 0.1,
    "like_count": 1,
    "quote_count": 0.05,
    "bookmark_count": 0.08,
    "impression_count": 30,
}
FIRST_DAY = date(2010, 11, 5)  # the first whole day of X's ids
EPOCH_MS = 1288834974657
DAY_MS = 86_400_000
EDIT_WINDOW = timedelta(minutes=60)
DEMO = ("acme_press", "orbital_news", "quiet_garden")
LONG_AT, EDIT_AT, FULL_AT = 0, 2, 3
"""Places in the day of an account that `shows`; the edit is an edit of the post before it.

The long post has a poll, the edited one a medium, and the full one a quote and a community.
"""
MEDIA = ("3", "7", "16", "13")
"""What the keys of pictures, videos, animated GIFs and promoted videos begin with."""
Choice = TypeVar("Choice")


@dataclass(frozen=True)
class Account:
    """The behaviour of an account: its own posts a day, their topics, and its state at X."""

    fewest: int
    most: int
    topics: tuple[str, ...] = ("press", "orbit", "garden")
    long: float = 0.08
    odd: int = 4  # one post in so many is a special case; 0 means never
    shows: bool = False  # six posts or more, and on every day a long one, an edited one and a full one
    all_hours: bool = False  # posts from 00:00:00 to 23:59:59, not from 06:00 to 22:00
    shallow: bool = False  # the timeline ends at its newest 3,200 posts, 800 without replies
    state: str = "active"


BUSY = Account(0, 0, odd=2, all_hours=True)

# The first pattern that matches a handle applies; its number is the posts a day.
ACCOUNTS = (
    (r"acme_press", Account(6, 9, ("press",), long=0.1, odd=0, shows=True)),
    (r"orbital_news", Account(280, 320, ("orbit",), long=0.01, odd=12, all_hours=True)),
    (r"quiet_garden", Account(-1, 2, ("garden",), long=0, odd=0)),  # no post on half of the days
    (r"suspended_.*", replace(BUSY, state="suspended")),
    (r"protected_.*", replace(BUSY, state="protected")),
    (r"unknown_.*", replace(BUSY, state="unknown")),
    (r"posts_(\d+)_.*", BUSY),
    (r"limited_(\d+)_.*", replace(BUSY, shallow=True)),
    (r".*", Account(2, 20)),
)


class Slot(NamedTuple):
    """A post's position: `history` has the ids of its versions, `place` is the first one's in the day."""

    id: int
    kind: str  # own, retweeted or replied_to
    place: int
    history: tuple[int, ...]


@lru_cache(maxsize=4096)
def account(handle: str) -> Account:
    """The behaviour of a handle, by its name."""
    for pattern, profile in ACCOUNTS:
        if match := re.fullmatch(pattern, handle):
            return replace(profile, fewest=int(match[1]), most=int(match[1])) if match.groups() else profile
    raise AssertionError("the last pattern matches every handle")


@lru_cache(maxsize=65536)
def user_id(handle: str) -> str:
    """A numeric id of up to 19 digits, a hash of the lower-case handle."""
    return str(_hash("user", handle.lower()) >> 2)


def user(handle: str) -> dict[str, Any]:
    """The user object with every field of this stand-in."""
    return {
        "id": user_id(handle),
        "name": handle.replace("_", " ").title(),
        "username": handle,
        "created_at": "2010-11-05T00:00:00.000Z",
        "protected": account(handle).state == "protected",
        "verified": False,
    }


def is_thread(slot: Slot) -> bool:
    """Whether it is a reply of the account to itself, as every second reply is."""
    return slot.kind == "replied_to" and slot.place % 2 == 1


def id_at(moment: datetime) -> int:
    """The smallest post id of a moment."""
    return (int(moment.timestamp() * 1000) - EPOCH_MS) << 22


def time_of(post_id: int) -> datetime:
    return datetime.fromtimestamp(((post_id >> 22) + EPOCH_MS) / 1000, UTC)


def stamp(moment: datetime) -> str:
    """A time as X writes it: to the second, with three zeros."""
    return moment.isoformat()[:19] + ".000Z"


@lru_cache(maxsize=20_000)
def slots(handle: str, day: date) -> tuple[Slot, ...]:
    """All posts of an account on a UTC day, oldest first: own posts, retweets and replies."""
    behaviour = account(handle)
    if day < FIRST_DAY or behaviour.state != "active":
        return ()
    rng = _random(handle, day.isoformat())
    own = max(0, behaviour.fewest + int(rng.random() * (behaviour.most - behaviour.fewest + 1)))
    kinds = _kinds(rng, own, FULL_AT + 1 if behaviour.shows else 1)
    edits = _edits(kinds, behaviour.shows)
    times = _times(rng, len(kinds), edits, behaviour.all_hours)
    midnight = id_at(datetime(day.year, day.month, day.day, tzinfo=UTC))
    ids = [midnight + (ms << 22) + int(rng.random() * (1 << 22)) for ms in times]
    day_slots: list[Slot] = []
    for chain in _chains(len(kinds), edits):
        history = tuple(ids[i] for i in chain)
        day_slots += [Slot(ids[i], kinds[i], chain[0], history) for i in chain]
    return tuple(day_slots)


def between(handle: str, low: int, high: int) -> Iterator[Slot]:
    """An account's slots with low <= id < high."""
    first = max(time_of(max(low, 0)).date(), FIRST_DAY)
    days = range((time_of(high - 1).date() - first).days + 1 if high > low else 0)
    for offset in reversed(days):
        of_day = slots(handle, first + timedelta(offset))
        places = range(bisect_left(of_day, (low,)), bisect_left(of_day, (high,)))
        for place in reversed(places):
            yield of_day[place]


def post(handle: str, slot: Slot) -> dict[str, Any]:
    """The post in a slot, with every field, in the tweet vocabulary."""
    first = slot.history[0]
    rng = _random(handle, str(first))
    version = slot.history.index(slot.id)
    behaviour = account(handle)
    lang, raw, pictured = _raw_text(rng, behaviour, slot)
    body: dict[str, Any] = {
        "id": str(slot.id),
        "author_id": user_id(handle),
        "lang": lang,
        "created_at": stamp(time_of(slot.id)),
        "conversation_id": str(slot.id),
        "edit_history_tweet_ids": [str(one) for one in slot.history],
        "edit_controls": {
            "edits_remaining": 5 - version,
            "is_edit_eligible": slot.kind == "own",
            "editable_until": stamp(time_of(first) + EDIT_WINDOW),
        },
        "public_metrics": _metrics(rng, slot.kind),
        "possibly_sensitive": rng.random() < 0.01,
        "reply_settings": "everyone",
    }
    quoting = 1 if behaviour.shows and slot.place == FULL_AT else 0.1
    raw = _refer(body, rng, slot, raw + " (corrected)" * version, quoting)
    more = _random(handle, str(first), "more")
    kind = MEDIA[time_of(first).toordinal() % 4] if behaviour.shows else _pick(more, MEDIA)
    if behaviour.shows and slot.place <= EDIT_AT:
        pictured = slot.place == EDIT_AT - 1
    _write(body, handle, rng, raw, kind if pictured and slot.kind != "retweeted" else "")
    _extend(body, more, slot, behaviour.shows)
    body["display_text_range"] = [0, len(body["text"])]
    return body


def grown(body: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The post with its counts at `now`, which double in ten days."""
    hours = (now - time_of(int(body["id"]))) // timedelta(hours=1)
    counts = body["public_metrics"].items()
    return body | {"public_metrics": {name: count + count * hours // 240 for name, count in counts}}


def _hash(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("/".join(parts).encode()).digest()[:8], "big")


def _random(*parts: str) -> Random:
    return Random(_hash(*parts))  # noqa: S311 - invented posts, no secrets


def _pick(rng: Random, choices: Sequence[Choice]) -> Choice:
    return choices[int(rng.random() * len(choices))]


def _kinds(rng: Random, own: int, opening: int) -> list[str]:
    """The kinds of a day's slots. The first `opening` and the last are own posts, if there are enough."""
    others = 1 + own // 6
    kinds = ["own"] * (own + others)
    first, width = min(own, opening), own + others - min(own, opening + 1)
    for k in range(others):
        part = range(k * width // others, (k + 1) * width // others)
        kinds[first + _pick(rng, part)] = "retweeted" if k % 3 else "replied_to"
    return kinds


def _edits(kinds: list[str], shows: bool) -> set[int]:
    """The slots with a later version of the post before them."""
    chosen = {i for i in range(len(kinds) - 1) if i % 40 in (7, 8) or (shows and i == EDIT_AT)}
    return {i for i in chosen if kinds[i] == kinds[i - 1] == "own"}


def _chains(count: int, edits: set[int]) -> list[list[int]]:
    """The slots, grouped by post."""
    chains: list[list[int]] = []
    for i in range(count):
        if i in edits:
            chains[-1].append(i)
        else:
            chains.append([i])
    return chains


def _times(rng: Random, count: int, edits: set[int], all_hours: bool) -> list[int]:
    """Rising milliseconds of the day: one in each equal part, but an edit soon after its post."""
    opens, closes = (0, DAY_MS) if all_hours else (DAY_MS // 4, DAY_MS * 22 // 24)
    step = (closes - opens) / count
    times: list[int] = []
    for i in range(count):
        chance = rng.random()
        if i in edits:
            times.append(times[-1] + 1 + int(chance * min(step / 2, 1_500_000)))
        elif all_hours and i == 0:
            times.append(int(chance / 2 * min(1000, step)))
        elif all_hours and i == count - 1:
            times.append(DAY_MS - 1 - int(chance * min(1000, step)))
        else:
            times.append(opens + int((i + chance / 2) * step))
    return times


def _raw_text(rng: Random, behaviour: Account, slot: Slot) -> tuple[str, str, bool]:
    """Language, text as its author typed it, and whether it has a picture."""
    day = time_of(slot.id).toordinal()
    if behaviour.odd and slot.place % behaviour.odd == 1:
        lang, template, pictured = SPECIAL_CASES[(slot.place // behaviour.odd + day) % len(SPECIAL_CASES)]
        return lang, _fill(rng, template), pictured
    if behaviour.shows and slot.place == FULL_AT:
        return "en", _fill(rng, FULL[day % len(FULL)]), False
    if slot.kind == "own" and (rng.random() < behaviour.long or (behaviour.shows and slot.place == LONG_AT)):
        lang = "en" if rng.random() < 0.5 else _pick(rng, sorted(LONG))
        return lang, _fill(rng, _essay(rng, lang)), rng.random() < 0.3
    topic = SENTENCES[_pick(rng, behaviour.topics)]
    # In turn, so that a small account does not repeat itself.
    return "en", _fill(rng, topic[(slot.place + day) % len(topic)]), rng.random() < 0.15


def _essay(rng: Random, lang: str) -> str:
    """A few to all of a language's sentences, in their order, as one post of more than 280 characters."""
    sentences = LONG[lang]
    length = len(sentences) if lang != "en" else 4 + int(rng.random() * (len(sentences) - 3))
    half = length // 2
    joint = "" if lang == "ja" else " "
    return joint.join(sentences[:half]) + "\n\n" + joint.join(sentences[half:length])


def _fill(rng: Random, template: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda blank: _pick(rng, WORDS[blank[1]]), template)


def _metrics(rng: Random, kind: str) -> dict[str, int]:
    likes = int(10 ** (rng.random() * 3.5)) - 1
    if kind == "retweeted":
        return dict.fromkeys(_SHARES, 0) | {"retweet_count": likes}
    counts = {name: int(likes * share * (0.5 + rng.random())) for name, share in _SHARES.items()}
    if rng.random() < 0.02:
        del counts["impression_count"]  # as on posts from before 2023
    return counts


def _refer(body: dict[str, Any], rng: Random, slot: Slot, raw: str, quoting: float) -> str:
    """Add the references of a post; return its text with their parts."""
    references = []
    if slot.kind != "own":
        other, other_id = _pick(rng, WORDS["who"]), _earlier(rng, slot)
        references.append({"type": slot.kind, "id": other_id})
        if is_thread(slot):
            body |= {"conversation_id": other_id, "in_reply_to_user_id": body["author_id"]}
        elif slot.kind == "replied_to":
            body |= {"conversation_id": other_id, "in_reply_to_user_id": user_id(other)}
            raw = f"@{other} {raw}"
        else:
            raw = cut(f"RT @{other}: {raw}", 139)
    if slot.kind != "retweeted" and len(raw) > 20 and rng.random() < quoting:
        quoted = _earlier(rng, slot)
        raw += f" https://twitter.com/{_pick(rng, WORDS['who'])}/status/{quoted}"
        references.append({"type": "quoted", "id": quoted})
    if references:
        body["referenced_tweets"] = references
    return raw


def _earlier(rng: Random, slot: Slot) -> str:
    """The id of a post of the day before."""
    return str(slot.history[0] - (int(1 + rng.random() * DAY_MS) << 22))


def _write(body: dict[str, Any], handle: str, rng: Random, raw: str, medium: str) -> None:
    """Add text, entities, note_tweet and a medium of a kind of MEDIA to a post."""
    written = typed(rng, raw, user_id)
    page = f"https://twitter.com/{handle}/status/{body['id']}"
    if len(written.text) > 280:
        body["note_tweet"] = {"text": written.text}
        if written.entities:
            body["note_tweet"]["entities"] = written.entities
        written = written.cut(138 if body["lang"] == "ja" else 277)
        written.plain(" ")
        written.link(rng, f"https://twitter.com/i/web/status/{body['id']}")
    if medium:
        key = f"{medium}_{int(body['id']) - 1_000_000}"
        shown = "video" if medium in ("7", "13") else "photo"  # X links to an animated GIF as to a photo
        written.plain(" " if written.text else "")
        written.link(rng, f"{page}/{shown}/1", display_url=f"pic.twitter.com/{code(rng)}", media_key=key)
        body["attachments"] = {"media_keys": [key]}
    body["text"] = written.text
    if written.entities:
        body["entities"] = written.entities


def _extend(body: dict[str, Any], rng: Random, slot: Slot, shows: bool) -> None:
    """Add a poll, a community and a paid partnership to some posts."""
    poll, community, paid = (rng.random() < share for share in (0.05, 0.05, 0.03))
    if slot.kind == "own" and "attachments" not in body and (poll or (shows and slot.place == LONG_AT)):
        body["attachments"] = {"poll_ids": [str(slot.history[0] - 2_000_000)]}
    if slot.kind == "own" and (community or (shows and slot.place == FULL_AT)):
        body["community_id"] = str(1_490_000_000_000_000_000 + int(rng.random() * 3))
    body["paid_partnership"] = paid and slot.kind == "own"
