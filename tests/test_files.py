"""Files below a folder, as every data source finds them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from soundcodec_llmcodec.data import Place, open_dataset, sound_files
from soundcodec_llmcodec.files import files_below


def test_links_to_folders_are_followed_once_and_loops_end(tmp_path):
    """Data sets are often linked into place; a link back to the top must not be walked for ever."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "b").mkdir(parents=True)
    for name in ("a.wav", "b/c.wav"):
        (elsewhere / name).write_bytes(b"")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "z.wav").write_bytes(b"")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "again").symlink_to(elsewhere)
    (elsewhere / "b" / "up").symlink_to(folder)
    (folder / "broken.wav").symlink_to(tmp_path / "nothing")
    found = [path.relative_to(folder).as_posix() for path in files_below(folder)]
    assert found == ["again/a.wav", "again/b/c.wav", "z.wav"]
    assert [path.relative_to(folder).as_posix() for path in sound_files(folder)] == found
    assert [f"{row.clip_id}.wav" for row in open_dataset(str(folder)).rows()] == found


def test_a_split_that_is_a_link_is_read(tmp_path):
    (tmp_path / "stored").mkdir()
    pq.write_table(pa.table({"audio": [b"x"]}), tmp_path / "stored" / "train-00000.parquet")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "data").symlink_to(tmp_path / "stored")
    opened = open_dataset(f"{tmp_path / 'set'}:train")
    assert (opened.place, opened.size) == (Place(str(tmp_path / "set"), "train"), 1)
