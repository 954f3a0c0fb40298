"""Damage inside a torch zip: seen by the checksums that torch writes and does not read, or said."""

import struct
import warnings
import zipfile

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layouts import network, save
from torch import nn

from grokinterp.cli import run_command
from grokinterp.errors import GrokinterpError
from grokinterp.runs.importers import archive, import_run
from grokinterp.runs.importers.source import load_tensors

GIVEN = {"task": {"operation": "x+y"}, "model": {"activation": "relu"}}
UNCHECKED = "written without checksums, so damage in"


def flipped(path, position, bit=0):
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)
    return path


def start_of(path, name):
    """Where the bytes of a member begin in the file, and how many there are."""
    with zipfile.ZipFile(path) as whole:
        entry = next(entry for entry in whole.infolist() if entry.filename.endswith(name))
    header = path.read_bytes()[entry.header_offset :][:30]
    name_size, extra_size = struct.unpack("<HH", header[26:30])
    return entry.header_offset + 30 + name_size + extra_size, entry.file_size


def save_unchecked(content, path):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(compute_crc32=False)
    try:
        return save(content, path)
    finally:
        torch.serialization.set_crc32_options(before)


def test_a_flipped_bit_in_a_tensor_is_refused_with_file_and_member(tmp_path, capsys):
    path = save(network()[2], tmp_path / "theirs.pt")
    start, size = start_of(path, "data/0")
    flipped(path, start + size // 2)
    assert torch.load(path, weights_only=True)  # torch does not see it
    assert run_command(["import", str(path), "--out", str(tmp_path / "run")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "theirs.pt is damaged ('theirs/data/0' in it does not match its checksum)" in line
    assert [one.name for one in tmp_path.iterdir()] == ["theirs.pt"]


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_wherever_a_bit_flips_the_numbers_are_the_same_or_the_file_is_refused(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("flip") / "x.pt"
    content = {"w": torch.arange(12.0).reshape(3, 4), "steps": [1, 2]}
    save(content, path)
    flipped(path, data.draw(st.integers(0, path.stat().st_size - 1)), data.draw(st.integers(0, 7)))
    try:
        found = load_tensors(path)
    except GrokinterpError:
        return
    assert torch.equal(found["w"], content["w"])
    assert found["steps"] == content["steps"]


def test_a_damaged_file_in_a_folder_is_named_with_its_member(tmp_path):
    folder = tmp_path / "ckpts"
    folder.mkdir()
    for step in range(3):
        save(network(step)[2], folder / f"step_{step}.pt")
    flipped(folder / "step_1.pt", start_of(folder / "step_1.pt", "data/3")[0])
    with pytest.raises(GrokinterpError, match=r"step_1\.pt is damaged \('step_1/data/3' in it"):
        import_run(folder, tmp_path / "run", given=GIVEN)


def test_torch_writes_zero_for_every_checksum_that_it_leaves_out(tmp_path):
    with zipfile.ZipFile(save_unchecked(network()[2], tmp_path / "x.pt")) as whole:
        assert {entry.CRC for entry in whole.infolist()} == {0}
        assert whole.testzip() is not None


def test_a_file_without_checksums_is_read_with_a_note(tmp_path, capsys):
    weights = network()[2]
    plain, without = save(weights, tmp_path / "plain.pt"), save_unchecked(weights, tmp_path / "without.pt")
    reports = [import_run(path, tmp_path / path.stem, given=GIVEN) for path in (plain, without)]
    assert [any(UNCHECKED in note for note in report.notes) for report in reports] == [False, True]
    assert reports[0].recomputed == reports[1].recomputed
    capsys.readouterr()
    assert run_command(["import", str(without), "--out", str(tmp_path / "run")]) == 0
    assert f"note: without.pt was {UNCHECKED} it cannot be seen" in capsys.readouterr().out


def test_files_without_checksums_in_a_folder_are_named(tmp_path):
    folder = tmp_path / "ckpts"
    folder.mkdir()
    for step in range(5):
        (save if step == 2 else save_unchecked)(network(step)[2], folder / f"step_{step}.pt")
    notes = import_run(folder, tmp_path / "run", given=GIVEN).notes
    assert f"step_0.pt, step_1.pt, step_3.pt, ... were {UNCHECKED} them cannot be seen" in notes


def test_one_checksum_that_is_zero_among_others_is_a_mismatch(tmp_path):
    path = save(network()[2], tmp_path / "x.pt")
    content = path.read_bytes()
    with zipfile.ZipFile(path) as whole:
        crc = struct.pack("<L", next(e.CRC for e in whole.infolist() if e.filename.endswith("data/1")))
    assert content.count(crc) == 2  # beside the member, and in the directory
    path.write_bytes(content.replace(crc, bytes(4)))
    with pytest.raises(GrokinterpError, match=r"'x/data/1' in it does not match"):
        load_tensors(path)


def test_a_file_from_before_the_zip_is_read_without_a_note(tmp_path):
    path = tmp_path / "legacy.pt"
    torch.save(network()[2], path, _use_new_zipfile_serialization=False)
    assert not zipfile.is_zipfile(path)
    report = import_run(path, tmp_path / "run", given=GIVEN)
    assert not any("checksums" in note for note in report.notes)


def test_a_member_is_read_a_piece_at_a_time(tmp_path, monkeypatch):
    path, sizes = save({"w": torch.zeros(3 * archive.CHUNK)}, tmp_path / "x.pt"), []
    read = zipfile.ZipExtFile.read

    def counted(member, n=-1):
        sizes.append(n)
        return read(member, n)

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counted)
    archive.check_archive(path)
    assert set(sizes) == {archive.CHUNK}
    assert len(sizes) > 12


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_refused_pickle_brings_no_warning_of_the_library(tmp_path, capsys, protocol):
    path = tmp_path / "x.pt"
    torch.save(nn.Linear(2, 2), path, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert run_command(["import", str(path), "--out", str(tmp_path / "run")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "can't be read without running code in it (it holds " in line
    assert not seen
