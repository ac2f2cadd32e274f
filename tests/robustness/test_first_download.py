"""Many who ask for a hub checkpoint that nobody has yet: each has it whole. The hub is a server on this machine."""

from __future__ import annotations

import hashlib
import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

_REPO = "someone/tiny-codec"
_SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def hub(tiny_codec, tmp_path, monkeypatch):
    """The files asked for so far, of a hub that has one checkpoint and is slow."""
    tiny_codec.save_pretrained(tmp_path / "held")
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self._answer(with_content=False)

        def do_GET(self):
            self._answer(with_content=True)

        def _answer(self, with_content):
            file = tmp_path / "held" / self.path.rpartition("/")[2]
            if not (self.path.startswith(f"/{_REPO}/resolve/main/") and file.is_file()):
                # The library asks for things of its own too.
                self.send_error(404)
                return
            if with_content:
                asked.append(file.name)
            data = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("X-Repo-Commit", "c" * 40)
            self.end_headers()
            for start in range(0, len(data) if with_content else 0, 1 << 16):
                self.wfile.write(data[start : start + (1 << 16)])
                time.sleep(0.02)

        def log_message(self, *_):
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    yield asked
    server.shutdown()
    server.server_close()


def _load(threads, found):
    import torch

    from soundcodec_llmcodec.llmcodec import LLMCodec

    torch.set_num_threads(1)
    with ThreadPoolExecutor(threads) as pool:
        found.put(list(pool.map(lambda _: LLMCodec.from_pretrained(_REPO).weights_hash, range(threads))))


def test_processes_and_threads_that_download_at_once_all_have_it_whole(hub, tiny_codec):
    found = _SPAWN.Queue()
    # Two threads in each of four processes: eight that meet in one empty cache.
    processes = [_SPAWN.Process(target=_load, args=(2, found), daemon=True) for _ in range(4)]
    for process in processes:
        process.start()
    hashes = [hashed for _ in processes for hashed in found.get(timeout=120)]
    for process in processes:
        process.join(30)
    assert hashes == [tiny_codec.weights_hash] * 8
    assert set(hub) == {"config.json", "model.safetensors"}
