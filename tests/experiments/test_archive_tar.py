"""Equal content makes equal archives, of plain files below one folder."""

import hashlib
import tarfile

import pytest

from beamwise.experiments.archive_tar import written


def write(archive, folder):
    with written(archive) as files:
        files.add("data/file", folder / "file")
        files.add_folder("below", folder)
        files.add_folder("none", folder / "nowhere")
        files.add_text("run", "sh", executable=True)
        return files.packed


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "file").write_bytes(b"content")
    (tmp_path / "folder" / "deep" / "link").symlink_to(tmp_path / "folder" / "file")
    return tmp_path / "folder"


def test_all_members_are_plain_files_below_one_folder(tmp_path, folder):
    packed = write(tmp_path / "mine.tar", folder)
    names = ["data/file", "below/deep/link", "below/file", "run"]
    assert list(packed) == names
    digest = hashlib.sha256(b"content").hexdigest()
    assert packed["below/deep/link"] == {"bytes": 7, "sha256": digest}
    with tarfile.open(tmp_path / "mine.tar") as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == [f"mine/{name}" for name in names]
        assert all(member.isreg() and member.mtime == member.uid == 0 for member in members)
        assert [oct(member.mode) for member in members] == ["0o644"] * 3 + ["0o755"]
        assert tar.extractfile("mine/below/deep/link").read() == b"content"


def test_the_same_content_makes_the_same_file(tmp_path, folder):
    write(tmp_path / "mine.tar", folder)
    first = (tmp_path / "mine.tar").read_bytes()
    (folder / "file").touch()
    (folder / "file").chmod(0o600)
    write(tmp_path / "mine.tar", folder)
    assert (tmp_path / "mine.tar").read_bytes() == first


def write_twice(archive):
    with written(archive) as files:
        files.add_text("run", "one")
        files.add_text("run", "two")


def test_a_failure_leaves_what_was_there(tmp_path, folder):
    (tmp_path / "mine.tar").write_text("before")
    with pytest.raises(ValueError, match="would be named run: rename"):
        write_twice(tmp_path / "mine.tar")
    assert (tmp_path / "mine.tar").read_text() == "before"
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "mine.tar"}


def test_a_folder_is_not_replaced(tmp_path):
    with pytest.raises(ValueError, match="is a folder: name a file"), written(tmp_path):
        pass
