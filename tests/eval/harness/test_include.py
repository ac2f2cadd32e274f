"""Codecs, metrics and data sets from files of one's own: they are known by name, checked, and cost only themselves."""

from __future__ import annotations

import importlib.metadata
import json

import numpy as np
import pytest

from eval.harness import corpora, include
from eval.harness.checked_codec import IncludedCodec
from eval.harness.clips import CorpusClip
from eval.harness.include import ENTRY_POINTS, IncludeError
from eval.harness.included_tokenizer import IncludedTokenizer
from eval.predictability import included_tokens
from eval.reconstruction import codecs, reconstruction_command
from eval.reconstruction.codecs import LoadError, ReconstructionError, UnknownSpecError
from eval.reconstruction.metrics import METRICS, Signal, named
from eval.salmon import salmon_models
from soundcodec_llmcodec.data import DataError
from soundcodec_llmcodec.data.token_corpus import TokenCorpus
from soundcodec_llmcodec.lm.counted import NgramLM
from soundcodec_llmcodec.lm.scores import CodecMismatchError

QUICK = ["--workers", "0", "--quiet", "--splits", "Speech", "--limit", "2"]

FILE = '''
import numpy as np
from eval.harness.include import dataset, metric

class Steps:
    sample_rate = 8000
    codebook_size = 256
    token_rate = 8000.0
    def encode(self, audio):
        return np.clip(np.rint(audio * 127 + 128), 0, 255).astype(np.int64)[None]
    def decode(self, codes):
        return ((codes[0] - 128) / 127).astype(np.float32)

def counted():
    codec = Steps()
    codec.token_rate = None
    return codec

class Wrong(Steps):
    {wrong}

@metric(unit="dB", direction="higher")
def loud(reference, estimate, rate):
    """How loud the estimate is."""
    return 20 * np.log10(np.abs(estimate).max())

@metric(unit="1", direction="lower", name="cross")
def failing(reference, estimate, rate):
    return {{}}["nothing"]

@dataset(size=3)
def beeps():
    for n in range(3):
        yield f"beep-{{n}}", np.sin(np.arange(4000) / (n + 2)).astype(np.float32), 16000, "beep"
'''


@pytest.fixture(autouse=True)
def nothing_stays():
    yield
    include.forget()


@pytest.fixture
def file(tmp_path):
    """Writes the file, with a body for the class Wrong, and returns its path."""

    def written(wrong: str = "pass"):
        path = tmp_path / "mine.py"
        path.write_text(FILE.format(wrong=wrong))
        return path

    return written


def clip(seconds: float = 0.5, rate: int = 16_000) -> CorpusClip:
    samples = (0.5 * np.sin(np.arange(int(seconds * rate)) / 9)).astype(np.float32)
    return CorpusClip("a", "s", "s", samples, rate, "d")


def test_a_codec_in_a_file_has_its_bit_rate_and_gives_clips_their_rate_and_length(file):
    codec = codecs.load(f"label={file()}:Steps")
    assert (codec.info.name, codec.info.bitrate_bps, codec.info.token_rate) == ("label", 64_000.0, 8000.0)
    assert codec.info.checkpoint == "mine.py"
    one = clip(rate=22_050)
    coded = codec.encode([one])
    assert coded[0].codes is not None
    assert coded[0].codes.shape == (1, 4000)
    (made,) = codec.decode(coded, [one])
    assert made.shape == one.samples.shape
    assert np.abs(made - one.samples)[500:-500].max() < 0.02


def test_a_factory_serves_and_its_bits_are_counted(file):
    codec = codecs.load(f"{file()}:counted")
    assert codec.info.bitrate_bps is None
    assert codec.encode([clip()])[0].n_bits == 4000 * 8


def test_another_file_is_another_codec(file):
    before = codecs.load(f"{file()}:Steps").info
    include.forget()
    after = codecs.load(f"{file('x = 1')}:Steps").info
    assert before.identity != after.identity
    assert before.checkpoint_hash != after.checkpoint_hash


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            "encode = lambda self, a: np.zeros((2, 9), int)",
            r"gave int64 \(2, 9\), expected integers \(Q, F\) = \(1, F\)",
        ),
        ("encode = lambda self, a: np.zeros((1, 4000))", r"gave float64 \(1, 4000\), expected integers"),
        ("encode = lambda self, a: np.full((1, 4000), 256)", "codes from 256 to 256, expected 0 to 255"),
        ("token_rate = 50.0", "gave 4000 codes for 0.50 s, expected about 25 by token_rate = 50"),
        ("encode = lambda self, a: 1 / 0", "Wrong.encode raised ZeroDivisionError: division by zero"),
        ("decode = lambda self, c: c", r"Wrong.decode gave int64 \(1, 4000\), expected floats \(S,\)"),
    ],
)
def test_what_a_codec_does_wrong_is_said(file, wrong, message):
    codec = codecs.load(f"{file(wrong)}:Wrong")
    with pytest.raises(ReconstructionError, match=message):
        codec.decode(codec.encode([clip()]), [clip()])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("sample_rate = None", "expected sample_rate as a whole number above 0, got None"),
        ("num_quantizers = 0", "expected num_quantizers as a whole number above 0, got 0"),
        ("token_rate = -1", "expected token_rate as tokens a second, got -1"),
        ("def __init__(self): raise RuntimeError('no weights')", "cannot be made: RuntimeError: no weights"),
        ("decode = None", "is of type Wrong, which has no decode"),
    ],
)
def test_a_codec_of_another_form_cannot_be_loaded(file, wrong, message):
    with pytest.raises(LoadError, match=message):
        codecs.load(f"{file(wrong)}:Wrong")


def test_names_that_nothing_has_are_answered_with_the_nearest(file):
    path = file()
    with pytest.raises(UnknownSpecError, match="no class or function 'Step'; did you mean 'Steps'"):
        codecs.parse(f"{path}:Step")
    with pytest.raises(UnknownSpecError, match=r"has the codecs \['Steps', 'Wrong'\]; name one"):
        codecs.parse(str(path))
    include.load([str(path)])
    with pytest.raises(UnknownSpecError, match="did you mean 'Steps'"):
        codecs.parse("Stepz")
    with pytest.raises(ValueError, match="did you mean 'loud'"):
        named(["loudd"])
    with pytest.raises(DataError, match="did you mean 'beeps'"):
        corpora.load("beepz")


def test_a_metric_that_raises_gives_a_reason_and_the_version_is_the_files(file):
    include.load([str(file())])
    signal = Signal(clip().samples, 16_000)
    assert METRICS["loud"].score(signal, signal).value == pytest.approx(20 * np.log10(0.5), abs=1e-3)
    assert METRICS["cross"].score(signal, signal).reason == "KeyError: 'nothing'"
    assert METRICS["loud"].definition == "How loud the estimate is."
    assert "loud" in [metric.name for metric in named(["all"])]
    before = METRICS["loud"].version
    include.forget()
    assert "loud" not in METRICS
    include.load([str(file("x = 1"))])
    assert METRICS["loud"].version != before


def test_a_data_sets_rows_are_its_clips(file):
    include.load([str(file())])
    corpus = corpora.load("beeps")
    clips = list(corpus.clips("all"))
    assert [one.clip_id for one in clips] == ["beep-0", "beep-1", "beep-2"]
    assert (clips[0].rate, len(clips[0].samples), clips[0].text) == (16_000, 4000, "beep")
    assert len({one.digest for one in clips}) == 3
    assert not corpus.synthetic


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("('a', np.zeros(9, np.float32))", r"row 0: expected \(id, audio .* got a tuple of 2"),
        ("('a', np.zeros((2, 9)), 16000)", r"expected audio as floats \(S,\) within -1..1, got float64 \(2, 9\)"),
        ("('a', np.zeros(9, np.int16), 16000)", "got int16"),
        ("('a', np.zeros(9), 16e3)", "expected a rate in Hz as a whole number above 0, got 16000.0"),
        ("1 / 0", "raised ZeroDivisionError"),
    ],
)
def test_rows_of_another_form_are_refused(tmp_path, row, message):
    path = tmp_path / "rows.py"
    start = "import numpy as np\nfrom eval.harness.include import dataset\n@dataset()\ndef odd():\n"
    path.write_text(f"{start}    yield {row}\n")
    include.load([str(path)])
    with pytest.raises(DataError, match=message):
        corpora.load("odd")


def test_what_cannot_be_included_is_said(tmp_path, file):
    for name, text, message in (
        ("syntax.py", "def", "cannot be included: SyntaxError"),
        ("package.py", "import not_there", "ModuleNotFoundError: No module named 'not_there'"),
        ("taken.py", FILE.format(wrong="pass").replace('"cross"', '"mel"'), "there is a metric 'mel' already"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(IncludeError, match=message):
            include.load([str(tmp_path / name)])
    include.load([str(file())])
    (tmp_path / "again.py").write_text(FILE.format(wrong="y = 2"))
    with pytest.raises(IncludeError, match="both have the codec 'Steps'"):
        include.load([str(tmp_path / "again.py")])


def test_an_installed_package_is_found_by_its_entry_point(tmp_path, file, monkeypatch, capsys):
    (tmp_path / "my_installed_codecs.py").write_text(file().read_text())
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [importlib.metadata.EntryPoint("mine", "my_installed_codecs", ENTRY_POINTS)]
    points += [importlib.metadata.EntryPoint("gone", "not_there_at_all", ENTRY_POINTS)]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    include.load(None)
    assert "left out: the installed soundcodec_llmcodec.eval:gone" in capsys.readouterr().err
    assert codecs.load("Steps").info.checkpoint == f"{ENTRY_POINTS}:mine"
    assert "loud" in METRICS


def test_workers_know_included_metrics(file, tmp_path):
    arguments = ["--include", str(file()), "--models", "Steps", "identity", "--dataset", "beeps", "--metrics", "loud"]
    assert (
        reconstruction_command.main([*arguments, "--workers", "1", "--quiet", "--output", str(tmp_path / "run")]) == 0
    )
    results = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert results["metrics"]["loud"]["source"] == "mine.py"
    assert [model["name"] for model in results["models"]] == ["Steps", "identity"]
    assert results["models"][0]["splits"]["all"]["metrics"]["loud"]["n"] == 3


def test_a_clip_that_fails_costs_itself_and_the_list_names_the_file(file, capsys):
    wrong = "encode = lambda self, a: 1 / 0 if len(a) < 30_000 else Steps().encode(a)"
    path = file(wrong)
    arguments = ["--include", str(path), "--models", "Wrong", "--metrics", "stft", *QUICK]
    assert reconstruction_command.main(arguments) == 1
    assert "Wrong.encode raised ZeroDivisionError: division by zero (1 of 2 clips" in capsys.readouterr().out
    assert reconstruction_command.main(["--include", str(path), "--list"]) == 0
    out = capsys.readouterr().out
    assert f"Steps (in {path})" in out
    assert f"(in {path})" in next(line for line in out.splitlines() if line.startswith("metric loud"))
    assert f"data set beeps (in {path})" in out


def test_another_file_is_another_run(file, tmp_path, capsys):
    arguments = ["--models", f"{file()}:Steps", "--metrics", "stft", "--output", str(tmp_path / "run"), *QUICK]
    assert reconstruction_command.main(arguments) == 0
    include.forget()
    file("x = 1")
    assert reconstruction_command.main([*arguments, "--resume"]) == 2
    assert "cannot be resumed: models.Steps.checkpoint_hash" in capsys.readouterr().err


def test_a_language_model_of_its_tokens_goes_with_a_codec_of_ones_own(file, tmp_path, capsys):
    """Two levels, so that codes and token ids differ."""
    two = "num_quantizers = 2; token_rate = 16000.0\n    encode = lambda self, a: np.repeat(Steps().encode(a), 2, 0)"
    path = file(two)
    include.load([str(path)])
    tokens = included_tokens.read(included_tokens.parse("mine=Wrong@beeps"))
    assert (tokens.label, tokens.source.hop_length, tokens.source.vocabulary_size) == ("mine", 1, 512)
    included_tokens.write_corpus(tmp_path / "tokens", "train", tokens)
    corpus = TokenCorpus.open(str(tmp_path / "tokens"))
    assert [ids.tolist() for ids in corpus.ids()] == [ids.tolist() for ids in tokens.clips]
    NgramLM.count(corpus.ids(), corpus.source, 2).save(tmp_path / "lm")
    model = salmon_models.Loader().load(salmon_models.parse(f"{path}:Wrong@{tmp_path / 'lm'}"))
    assert (model.info.name, model.info.codec, model.info.bitrate_bps) == ("Wrong@lm", "Wrong", 128_000.0)
    include.forget()
    with pytest.raises(CodecMismatchError):
        salmon_models.Loader().load(salmon_models.parse(f"{file(two + '; x = 1')}:Wrong@{tmp_path / 'lm'}"))


def test_language_models_need_a_token_rate(file):
    entry = include.codec_in(file("token_rate = None"), "Wrong")
    with pytest.raises(LoadError, match="needs a token_rate whose frames are a whole number"):
        IncludedTokenizer(IncludedCodec(entry))
