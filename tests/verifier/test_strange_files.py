"""What may lie in the place of a checkpoint: no crash, no hang, and a finding that says what it is."""

import os
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
import torch
from checkpoint_samples import metadata_of, write, write_set

from feda2v_cli.verifier.catalogue import catalogue, generator_sets
from feda2v_cli.verifier.verify import verify

NAME = "vae_unified_node0.pt"


def only_finding(path):
    (finding,) = verify([path]).findings
    return finding.code, finding.message


def test_a_directory(tmp_path):
    (tmp_path / NAME).mkdir()
    assert only_finding(tmp_path) == ("FA009", "is a directory, not a file")


def test_a_fifo(tmp_path):
    os.mkfifo(tmp_path / NAME)
    assert only_finding(tmp_path) == ("FA009", "is a FIFO, not a file")


def test_a_device(tmp_path):
    (tmp_path / NAME).symlink_to("/dev/zero")
    assert only_finding(tmp_path) == ("FA009", "is a device, not a file")


def test_a_loop_of_links(tmp_path):
    (tmp_path / NAME).symlink_to(tmp_path / "other.pt")
    (tmp_path / "other.pt").symlink_to(tmp_path / NAME)
    assert only_finding(tmp_path / NAME) == ("FA009", "cannot be read — Too many levels of symbolic links")


def test_a_link_to_nothing(tmp_path):
    (tmp_path / NAME).symlink_to(tmp_path / "absent")
    assert only_finding(tmp_path) == ("FA009", "cannot be read — No such file or directory")


def test_a_link_to_a_sound_file_is_sound(tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    path = write(tmp_path / "there", metadata_of("unified"))
    (tmp_path / "here" / NAME).symlink_to(path)
    assert verify([tmp_path / "here"]).findings == ()


def test_a_loop_of_directories_is_entered_once(tmp_path):
    write_set(tmp_path / "set", "unified")
    (tmp_path / "set" / "again").symlink_to(tmp_path)
    report = verify([tmp_path])
    assert (report.checked, report.findings) == (2, ())


_AS_NOBODY = """
import os, sys
from pathlib import Path
import feda2v_cli.profile.schema  # before nobody can read this interpreter's files
from feda2v_cli.verifier.verify import verify
if os.getuid() == 0:
    os.setuid(65534)
for finding in verify([Path(sys.argv[1])]).findings:
    print(finding.code, finding.message)
"""


def as_nobody(path):
    """The findings of a process that is not root."""
    result = subprocess.run([sys.executable, "-c", _AS_NOBODY, path], capture_output=True, text=True, check=True)
    return result.stdout.splitlines()


@pytest.fixture
def open_path():
    """A directory that everybody may enter; that of pytest is for one user."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_an_unreadable_file(open_path):
    path = write(open_path, metadata_of("unified"))
    path.chmod(0)
    assert as_nobody(path) == ["FA009 cannot be read — Permission denied"]


def test_an_unreadable_directory(open_path):
    write_set(open_path / "set", "unified")
    (open_path / "set").chmod(0)
    assert as_nobody(open_path) == ["FA009 is a directory that cannot be listed — Permission denied"]


def test_a_path_that_cannot_be_reached(open_path):
    write_set(open_path / "set", "unified")
    (open_path / "set").chmod(0)
    (message,) = as_nobody(open_path / "set" / NAME)
    assert message.startswith("FA001 cannot be reached — Permission denied")


@pytest.mark.parametrize(
    "content", [b"hello", b"\0" * 1000, b"PK", b"PK\3\4" * 50, b"\x80", b"\x80\x02.", b"\x80\x02N."]
)
def test_something_else(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    assert only_finding(tmp_path)[0] == "FA009"


def test_a_zip_archive_of_somebody_else(tmp_path):
    with zipfile.ZipFile(tmp_path / NAME, "w") as archive:
        archive.writestr("photos/a.txt", "hello")
    assert only_finding(tmp_path) == ("FA009", "record data.pkl is missing")


def test_a_model_of_somebody_else(tmp_path):
    torch.save({"a": torch.zeros(3)}, tmp_path / NAME)
    code, message = only_finding(tmp_path)
    assert code == "FA009"
    assert "neither feda2v nor the earlier system wrote it" in message


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / NAME, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 100_000_000)
    code, message = only_finding(tmp_path)
    assert code == "FA009"
    assert "compressed" in message


def test_a_directory_of_too_many_records_is_not_read(tmp_path):
    record = struct.pack("<4s6H3L5H2L", b"PK\1\2", *[0] * 9, 1, *[0] * 6) + b"a"
    directory = record * 110_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 110_000 % 65536, 110_000 % 65536, len(directory), 0, 0)
    (tmp_path / NAME).write_bytes(directory + end)
    assert only_finding(tmp_path)[1].startswith("the central directory takes")


def test_overlapping_records_are_found(tmp_path):
    path = write(tmp_path, metadata_of("unified"))
    content = path.read_bytes()
    start = content.rindex(b"archive/data/1") - 46
    other = content.rindex(b"archive/data/0") - 46
    place = struct.calcsize("<4s6H3L5HL")
    header = content[other + place : other + place + 4]
    path.write_bytes(content[: start + place] + header + content[start + place + 4 :])
    assert only_finding(tmp_path)[0] == "FA009"


def test_an_absent_path_is_not_found_and_the_others_are_checked(tmp_path):
    write_set(tmp_path / "set", "unified")
    report = verify([tmp_path / "set", tmp_path / "absent"])
    assert [finding.code for finding in report.findings] == ["FA001"]
    assert f"{tmp_path / 'set'} holds vae_unified (2)" in report.findings[0].message
    assert report.checked == 2


def test_an_empty_directory_is_not_found(tmp_path):
    (tmp_path / "notes.txt").touch()
    assert only_finding(tmp_path)[0] == "FA001"
    assert "there are notes.txt" in only_finding(tmp_path)[1]


def test_names_that_are_no_text_are_listed_and_checked(tmp_path):
    (tmp_path / os.fsdecode(b"vae_\xff\x1b[2J_node0.pt")).write_bytes(b"")
    assert only_finding(tmp_path) == ("FA009", "is empty")


def test_the_catalogue_lists_what_cannot_be_read_and_why(tmp_path):
    write_set(tmp_path, "unified")
    os.mkfifo(tmp_path / "vae_unified_node7.pt")
    entries = catalogue([tmp_path])
    assert [entry.problem for entry in entries] == [None, None, "is a FIFO, not a file"]


def test_the_catalogue_sorts_rounds_as_numbers_with_the_final_one_last(tmp_path):
    write_set(tmp_path, "per_class", rounds=(None, 10, 9))
    names = [entry.path.name for entry in catalogue([tmp_path])]
    start = "vae_perclass_node0_class_cow"
    assert names[:3] == [f"{start}_round_9.pt", f"{start}_round_10.pt", f"{start}.pt"]


def test_directories_with_checkpoints_are_found_in_a_tree(tmp_path):
    write_set(tmp_path / "b/deep", "unified")
    write_set(tmp_path / "a", "unified")
    (tmp_path / "empty").mkdir()
    assert generator_sets(tmp_path) == [tmp_path / "a", tmp_path / "b/deep"]


@pytest.mark.parametrize(
    "place",
    [
        "._vae_unified_node0.pt",
        ".vae_unified_node0.pt",
        ".ipynb_checkpoints/vae_unified_node0-checkpoint.pt",
        ".Trash-0/files/vae_unified_node0.pt",
        ".snapshot/hourly.0/vae_unified_node0.pt",
        "__MACOSX/._vae_unified_node0.pt",
        "@eaDir/vae_unified_node0.pt",
        "#recycle/vae_unified_node0.pt",
        "lost+found/vae_unified_node0.pt",
    ],
)
def test_what_a_system_leaves_is_no_checkpoint(tmp_path, place):
    write_set(tmp_path / "set", "unified")
    left = tmp_path / "set" / place
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(b"")
    report = verify([tmp_path])
    assert (report.checked, report.findings) == (2, ())
    assert len(catalogue([tmp_path])) == 2
    assert generator_sets(tmp_path) == [tmp_path / "set"]


def test_a_hidden_directory_that_is_asked_for_is_looked_at(tmp_path):
    write_set(tmp_path / ".hidden", "unified")
    assert verify([tmp_path / ".hidden"]).checked == 2


@pytest.mark.parametrize(
    "content",
    [b"<!DOCTYPE html>\n<html>", b"\n <HTML><body>404", b'<?xml version="1.0"?><Error>', b"\xef\xbb\xbf<html>"],
)
def test_a_page_in_a_checkpoint_s_place_is_called_that(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    code, message = only_finding(tmp_path)
    assert code == "FA009"
    assert "is an HTML page and no checkpoint" in message
