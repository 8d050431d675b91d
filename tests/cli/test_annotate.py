"""`rosella annotate`: what is said to who gives it what it cannot use."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from rosella.annotate.accounts import Accounts, Person
from rosella.annotate.settings import Limits
from rosella.corpus.project import Corpus
from support import rosella


@pytest.fixture
def corpus(tmp_path):
    Corpus.open(tmp_path / "talks", create=True).close()
    return tmp_path / "talks"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Name it by --corpus DIR"),
        (["--corpus", "nowhere"], "nowhere is not a corpus"),
        (["--corpus", "x", "invite", "--corpus", "x"], "Options belong behind invite"),
        (["invite", "--corpus", "nowhere"], "nowhere is not a corpus"),
        (["invite", "--corpus", "x", "--role", "king"], "king"),
        (["password", "Olga", "--corpus", "nowhere"], "nowhere is not a corpus"),
        (["--corpus", "x", "--catalogue", "postgresql://me:secret@host/x"], "Passwords do not belong"),
    ],
)
def test_mistakes_are_one_sentence(arguments, sentence, tmp_path):
    done = rosella("annotate", *arguments, cwd=tmp_path)
    assert done.returncode == 2 and sentence in done.stderr and "secret" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_taken_is_said(corpus):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = rosella("annotate", "--corpus", str(corpus), "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2 and "choose another --port" in done.stderr


def test_an_invitation_leads_where_it_is_told(corpus):
    done = rosella("annotate", "invite", "--corpus", str(corpus), "--address", "https://talks.example/")
    assert done.returncode == 0 and done.stdout.startswith("https://talks.example/#invitation=")


def test_an_owner_who_forgot_the_password_gets_a_link_at_the_servers_machine(corpus):
    with Corpus.open(corpus) as opened:
        accounts = Accounts(opened.catalogue, Limits())
        accounts.join(accounts.invite("owner"), "Olga", "drie paarden lopen")
        done = rosella(
            "annotate", "password", "Olga", "--corpus", str(corpus), "--address", "https://a.example"
        )
        assert done.returncode == 0, done.stderr
        address, token = done.stdout.strip().split("/#invitation=")
        assert address == "https://a.example"
        assert accounts.join(token, "Olga", "vier koeien grazen") == Person("Olga", "owner")


def test_without_the_extra_one_sentence_says_what_to_install(corpus):
    without = "import sys; sys.modules['argon2'] = None; from rosella.cli import main; main()"
    words = ["annotate", "invite", "--corpus", str(corpus)]
    done = subprocess.run(
        [sys.executable, "-c", without, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "argon2 is missing: pip install 'rosella-tts[annotate]'" in " ".join(done.stderr.split())
