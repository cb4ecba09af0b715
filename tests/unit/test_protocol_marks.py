"""What a process remembers of its own marks."""

from __future__ import annotations

from shadow.protocol.marks import MarkBook


def test_a_mark_is_open_from_its_write_until_it_is_closed_wherever_it_was_recorded() -> None:
    book = MarkBook(lambda: 1.0)
    assert not book.is_open("things", None)
    held = book.cover("things", b"k")
    assert held.journalled is False and held.recorded is False
    assert book.is_open("things", b"k")
    assert book.is_open("things", None)
    assert not book.is_open("things", b"other")
    assert not book.is_open("others", None)
    book.settle(held)
    assert book.is_open("things", b"k")
    book.closed([held])
    assert not book.is_open("things", b"k")


def test_a_mark_that_names_no_key_is_one_of_every_key() -> None:
    book = MarkBook(lambda: 1.0)
    book.cover("things", None)
    assert book.is_open("things", b"k")
    assert not book.is_open("others", b"k")
