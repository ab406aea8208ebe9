"""The configured accounts: in the Variable, or in a file in the bucket."""

import re

import pytest

from include.twitter import accounts
from include.twitter.accounts import Account, parse_accounts_file
from include.twitter.errors import BadAccounts, BadSetting
from include.twitter.records import CollectionSpec
from tests.include.factories import MemoryStore

KEY = "twitter_accounts/accounts.csv"
FILE = b"handle,group,own\nNASA,space,\nesa,space,no\nacme_press,press,yes\n"


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def named(store, monkeypatch):
    """Read the accounts of a Variable, with a file or without."""

    def read(text, file=None, own=""):
        monkeypatch.setenv("AIRFLOW_VAR_TWITTER_HANDLES", text)
        monkeypatch.setenv("AIRFLOW_VAR_TWITTER_OWN_HANDLE", own)
        if file is not None:
            store.write(KEY, file)
        return accounts.read(store)

    return read


@pytest.fixture
def filed(store, named):
    return lambda file, own="": named(store.url(KEY), file, own)


def test_a_variable_and_a_file_with_the_same_accounts_are_the_same(named, filed):
    assert named("NASA, esa, acme_press").handles == filed(FILE).handles == ("NASA", "esa", "acme_press")


@pytest.mark.parametrize(
    "data",
    [
        b"handle\nNASA\nesa\n",
        b"\xef\xbb\xbfhandle\r\nNASA\r\nesa\r\n",
        b"handle\rNASA\resa",
        b"# ours\n\nHandle , own\n\n @NASA ,\n  # theirs\n,\nesa\n",
        b'own,handle\nno,"NASA"\nNo,esa',
        "handle,group\nNASA,Öffentlich\nesa,\n".encode(),
    ],
)
def test_a_file_comes_as_editors_and_spreadsheets_save_it(data):
    assert [account.handle for account in parse_accounts_file(data)] == ["NASA", "esa"]


def test_a_file_has_groups_and_the_owner_of_the_access_token():
    assert parse_accounts_file(FILE) == [
        Account("NASA", "space"),
        Account("esa", "space"),
        Account("acme_press", "press", own=True),
    ]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "line 1: the file is empty"),
        (b"\nhandle\n\n", "line 2: no account is below it"),
        (b"NASA\nesa\n", "line 1: 'NASA' has no column `handle`"),
        (b"handle;group\nNASA;space\n", "line 1: 'handle;group' has no column `handle`"),
        (b"handle,team\nNASA,space\n", "line 1: 'team' is no column, or is there twice"),
        (b"handle,handle\nNASA,NASA\n", "line 1: 'handle' is no column, or is there twice"),
        (b"handle,limit\nNASA,\nesa,ten\n", "line 3: limit: 'ten' is not a whole number from 0 up"),
        (b"handle\nNASA\n\nNA SA\n", "line 4: handle: 'NA SA' is not a handle"),
        (b"handle,group\r\nNASA,space\r\n,press\r\n", "line 3: handle: '' is not a handle"),
        (b"handle\n# a comment\nNASA\nesa\nnasa\n", "line 5: nasa is in line 3 already"),
        (b"handle,own\nNASA,yes\nesa,yes\n", "line 3: NASA is `own` already, and an access token is one"),
        (b"handle,own\nNASA,maybe\n", "line 2: own: 'maybe' is not yes or no"),
        (b"handle,group\nNASA,a,b\n", "line 2: 'NASA,a,b' has more cells than there are columns"),
        (b'handle,group\nNASA,"a,b"\n', "line 2: group: 'a,b' is not a group"),
        (b'handle,group\nNASA,"space\nesa,\n', "line 2: 'NASA,\"space' is not CSV (unexpected end of data)"),
        (b"handle,group\nNASA,\nesa,\xd6ffentlich\n", "line 3: it is not written in UTF-8"),
    ],
)
def test_a_bad_line_is_named_by_its_number(data, problem):
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}"):
        parse_accounts_file(data)


def test_a_bad_file_is_named_with_an_example(filed, store):
    with pytest.raises(BadSetting) as error:
        filed(b"# handle")
    assert all(fact in str(error.value) for fact in (store.url(KEY), "line 1", accounts.EXAMPLE))


def test_the_example_is_a_file_that_is_taken():
    first, then = re.findall(r"\S*,\S*", accounts.EXAMPLE)
    assert parse_accounts_file(f"{first}\n{then}".encode()) == [Account("acme_press", "press", 50, own=True)]


def test_a_limit_of_an_account_is_another_than_that_of_all(filed, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_TWITTER_TWEET_LIMIT", "50")
    spec = filed(b"handle,limit\nNASA,\nesa,0\nJAXA,50\nCNES_fr,200\n").collection_spec()
    assert spec == CollectionSpec(("NASA", "esa", "JAXA", "CNES_fr"), 50, False, {"esa": 0, "cnes_fr": 200})
    assert [spec.limit_of(handle) for handle in ("NASA", "ESA", "JAXA", "CNES_fr")] == [50, 0, 50, 200]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (f"s3://acme-twitter-lake/{KEY}", "does not exist"),
        ("s3://payroll/a.csv", "is not in the pipeline's own bucket"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_an_example(named, url, problem):
    with pytest.raises(BadSetting, match=f"{url} {problem}. Example: s3://"):
        named(url)


@pytest.mark.parametrize(
    ("text", "handles"),
    [
        ("", ("NASA", "esa", "acme_press")),
        ("@nasa", ("NASA",)),
        ('["ESA", "nasa"]', ("NASA", "esa")),
        ("group:space", ("NASA", "esa")),
        ("acme_press, group: space", ("NASA", "esa", "acme_press")),
        ('["group:press"]', ("acme_press",)),
    ],
)
def test_accounts_are_named_among_those_that_are_collected(filed, text, handles):
    assert filed(FILE).select(text) == handles


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("NASA, JAXA", r"does not name jaxa\. Add them there first, so that the daily run keeps them"),
        ("NA SA", r"'NA SA' is not a handle.*\. Example: NASA, esa"),
        (" , ", r"names no account\. Example: NASA, esa"),
        ('["NASA"', r"starts like a JSON list but is none"),
        ("group:art", r"has no group 'art'\. The groups of its file are press, space\."),
    ],
)
def test_accounts_that_are_not_collected_are_refused(filed, text, problem):
    with pytest.raises(BadAccounts, match=problem):
        filed(FILE).select(text)


def test_a_variable_has_no_groups(named):
    with pytest.raises(BadAccounts, match=r"has no group 'space'\. It names no groups\."):
        named("NASA, esa").select("group:space")


@pytest.mark.parametrize("own", ["", "ACME_press"])
def test_ones_own_account_is_that_of_the_file(filed, own):
    assert filed(FILE, own).own_handle() == "acme_press"


def test_without_a_file_ones_own_account_is_that_of_the_variable(named):
    assert named("NASA", own="NASA").own_handle() == "nasa"
    assert named("NASA").own_handle() == ""


def test_an_access_token_is_one_accounts(filed):
    with pytest.raises(BadSetting, match="the file of accounts name acme_press and nasa, and an access"):
        filed(FILE, own="NASA").own_handle()


@pytest.mark.parametrize(
    "data",
    [
        *(f"handle,own\nNASA,{text}\n".encode() for text in ("ja", "on", "2", "“yes”", "ｙes")),
        b"handle\tgroup\nNASA\tspace\n",
        b"sep=,\nhandle,group\nNASA,space\n",
        "handle,group\nNASA,space\n".encode("utf-16"),
        "handle\n“NASA”\n".encode(),
        "handle\nNАSA\n".encode(),
        b"handle\nNASA # ours\n",
        b'["NASA"]',
        b"\x00handle\nNASA\n",
    ],
)
def test_a_file_in_another_notation_is_refused(data):
    with pytest.raises(ValueError, match=r"line [12]: "):
        parse_accounts_file(data)
