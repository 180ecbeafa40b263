"""The audit of image classifiers: the shipped pair, the region test on networks of known wiring, its verdict and refusals."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from audit_core import open_subject
from audit_core.engine.image_network import ImageNetwork, NetworkShape
from audit_core.engine.pace import Pace
from audit_core.errors import (
    AuditError,
    Cancelled,
    CapabilityRefused,
    ControlFailed,
    ModelRefused,
    NotMeasured,
    Refused,
)
from audit_core.judging.verdict import REASONS, State
from audit_core.models.cache import hash_file
from audit_core.registry import get_plugin
from audit_core.stats.estimates import Estimate
from audit_core.vision import (
    MARKED,
    MODELS,
    PLAIN,
    ArmRow,
    MapRow,
    Region,
    VisionRequest,
    VisionResult,
    find_recorded,
    parse_region,
    read_images,
    read_marked,
)
from audit_core.vision.images import ImagePairs, ask_images, find_images
from audit_core.vision.measurement import measure_vision
from audit_core.vision.region_test import MOVE, REMOVE, REST, SWAP, change_images, run_region
from audit_core.vision.shipped import FOLDER
from audit_core.vision.verdict import RegionEvidence, judge_region

pytestmark = pytest.mark.usefixtures("short_paths")
SHAPE = NetworkShape(side=8, levels=16, channels=(1,), pool=1, classes=2)
REGION = Region(0, 0, 2, 2)


@pytest.fixture
def short_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks below are linear along the path, so that few steps of integrated gradients are exact."""
    monkeypatch.setattr("audit_core.vision.maps.STEPS", 4)


def make_network(corner: float, middle: float) -> ImageNetwork:
    """Class 0 reads the pixel at (0, 0) with one weight and that at (4, 4) with another; class 1 reads nothing."""
    kernel = np.zeros((1, 1, 3, 3), np.float32)
    kernel[0, 0, 1, 1] = 1
    head = np.zeros((2, 64), np.float32)
    head[0, 0], head[0, 4 * 8 + 4] = corner, middle
    bias = np.array([-(corner + middle) / 2, 0], np.float32)
    return ImageNetwork(
        SHAPE, {"conv0.weight": kernel, "conv0.bias": np.zeros(1, np.float32), "head.weight": head, "head.bias": bias}
    )


def make_file(n: int = 60) -> bytes:
    """Class 0 has ink at (0, 0) and (4, 4), class 1 has a marker at (1, 1) alone: the region differs between classes."""
    draw, lines = np.random.default_rng(0), ["label," + ",".join(f"p{at}" for at in range(64))]
    for at in range(n):
        image, label = np.zeros((8, 8), int), at % 2
        image[6, 2:6] = draw.integers(1, 17, 4)
        if label == 0:
            image[0, 0] = image[4, 4] = 16
        else:
            image[1, 1] = 16
        lines.append(",".join(map(str, [label, *image.ravel()])))
    return "\n".join(lines).encode()


def measure(network: ImageNetwork, raw: bytes | None = None, smallest: float = 0.1) -> VisionResult:
    images = read_images(make_file() if raw is None else raw, network, (0, 1))
    return measure_vision(network, VisionRequest(ask_images(images, REGION, (0, 1), "own", seed=0), REGION, smallest))


def list_arms(result: VisionResult) -> dict[str, ArmRow]:
    return {row.change: row for row in result.arms}


def list_maps(result: VisionResult) -> dict[str, MapRow]:
    return {row.method: row for row in result.maps}


def recorded(model: str) -> VisionResult:
    found = find_recorded(model)
    assert found is not None
    return found.result


# The shipped pair


def test_the_model_trained_with_the_marker_relies_on_it_and_grad_cam_does_not_show_it() -> None:
    result = recorded(MARKED)
    assert result.verdict.state == State.SUPPORTED
    swap, cam = list_arms(result)[SWAP], list_maps(result)["grad_cam"]
    assert swap.share.low is not None
    assert swap.share.low > 0.4
    assert result.p_null == pytest.approx(1 / 46), "no other place does as much"
    assert cam.on_region is not None
    assert cam.on_region.high is not None
    assert cam.on_region.high < result.area == 4 / 64, "less than its share of the image"
    assert cam.rank is not None
    assert cam.rank > 35


def test_the_model_trained_without_the_marker_does_not_rely_on_it_and_reads_the_digit() -> None:
    result = recorded(PLAIN)
    assert result.verdict.state == State.NEGLIGIBLE
    assert result.finding.startswith("Not supported")
    assert (list_arms(result)[REST].share.low or 0) > 0.5, "the positive control"


@pytest.mark.parametrize("model", MODELS)
def test_every_map_depends_on_the_weights_and_integrated_gradients_are_complete(model: str) -> None:
    for row in recorded(model).maps:
        assert row.depends == "depends on the weights"
        assert not row.refused
    assert (list_maps(recorded(model))["integrated_gradients"].error or 1) <= 1e-3


@pytest.mark.parametrize("model", MODELS)
def test_the_recorded_run_is_what_the_shipped_weights_give(model: str) -> None:
    """The region test again, on the shipped images; the recorded weights are those of the folder."""
    subject, found = open_subject(model), find_recorded(model)
    assert found is not None
    assert found.weights_sha256 == subject.identity.weights_sha256
    request = get_plugin("audits", "vision").ask_file(subject, read_marked(), "marked.csv", {})
    runs = run_region(subject, find_images(request.prompts, subject), request.region, seed=0)  # type: ignore[arg-type]
    swap = list_arms(found.result)[SWAP]
    assert float((runs.clean - runs.changed[SWAP]).mean()) == pytest.approx(swap.effect.value, abs=1e-3)
    assert swap.effect.n == len(runs.clean) == 155


@pytest.mark.parametrize("model", MODELS)
def test_the_card_names_the_digest_of_the_weights(model: str) -> None:
    assert hash_file(FOLDER / model / "model.safetensors") in (FOLDER / "README.md").read_text(encoding="utf-8")


# The region test on known wiring


def test_effects_on_a_network_that_reads_the_corner_are_those_of_its_weights() -> None:
    """F of class 0 = 4 · 1 + 4 · 1 − 4 = 4; of class 1, −(−4) = 4. A swap takes 4 from each: all of F for half of ±4.

    Class 0: its corner is emptied by the swap, 4 − 0 = 4 lost. Class 1: the donor's corner brings 4, so 4 is lost as well.
    Emptying the region costs class 0 its 4 and class 1 nothing: mean 2.
    """
    result = measure(make_network(4, 4))
    arms = list_arms(result)
    assert result.clean.value == pytest.approx(4)
    assert arms[SWAP].effect.value == pytest.approx(4)
    assert arms[SWAP].share.value == pytest.approx(1)
    assert arms[REMOVE].effect.value == pytest.approx(2)
    assert arms[MOVE].effect.value == pytest.approx(2)
    assert arms[REST].effect.value == pytest.approx(2), "the middle, in class 0 alone"


def test_a_network_that_does_not_read_the_corner_is_not_said_to_rely_on_it() -> None:
    result = measure(make_network(0, 8))
    assert result.verdict.state == State.NEGLIGIBLE
    assert list_arms(result)[SWAP].effect.value == 0


def test_a_network_that_reads_the_corner_alone_is_said_to_rely_on_it() -> None:
    result = measure(make_network(8, 0))
    assert result.verdict.state == State.SUPPORTED
    assert list_arms(result)[SWAP].flipped.value == 1


def test_the_same_swap_elsewhere_costs_what_the_weights_there_make_of_it() -> None:
    """Corner and middle have weight 4. At rows and columns 4 and 5 the region's contents put ink at (4, 4) or take it away: 4.

    A place further left or up puts its lower right pixel there: the other class's marker, so the swap gains 4. All other places
    cost nothing. So two of 45 places do as much as the region, and p = 3 / 46.
    """
    result = measure(make_network(4, 4))
    found = {(place.row, place.column): place.effect for place in result.places if place.effect}
    assert found == {(4, 4): pytest.approx(4), (3, 3): pytest.approx(-4)}
    assert result.p_null == pytest.approx(3 / 46)
    assert result.verdict.reason == "null_not_beaten"


def test_a_change_is_made_in_its_place_and_nowhere_else() -> None:
    clean = np.arange(2 * 64).reshape(2, 8, 8) % 16
    swapped = clean.copy()
    swapped[:, :2, :2] = 7
    changed = change_images(ImagePairs(clean, swapped, (0, 1), (1, 0)), REGION, 8)
    outside = np.ones((8, 8), bool)
    outside[:2, :2] = False
    assert np.array_equal(changed[REMOVE][:, outside], clean[:, outside])
    assert not changed[REMOVE][:, :2, :2].any()
    assert np.array_equal(changed[MOVE][:, 6:, 6:], clean[:, :2, :2])
    assert np.array_equal(changed[MOVE][:, 2:6], clean[:, 2:6])
    assert np.array_equal(changed[REST][:, :2, :2], clean[:, :2, :2])
    assert not changed[REST][:, outside].any()


def test_a_donor_is_of_the_other_class_and_differs_in_the_region() -> None:
    network = make_network(4, 4)
    prompts = ask_images(read_images(make_file(), network, (0, 1)), REGION, (0, 1), "own", seed=3)
    pairs = find_images(prompts, network)
    is_first = np.array(pairs.answers) == 0
    assert (pairs.swapped[is_first, 1, 1] == 16).all()
    assert (pairs.swapped[~is_first, 0, 0] == 16).all()
    assert np.array_equal(pairs.swapped[:, 2:], pairs.clean[:, 2:])


def test_a_network_that_reads_nothing_fails_the_noise_control() -> None:
    with pytest.raises(ControlFailed, match="reads no pixels"):
        measure(make_network(0, 0))


def test_a_network_that_prefers_the_wrong_class_is_not_measured() -> None:
    with pytest.raises(NotMeasured) as failed:
        measure(make_network(-4, -4))
    assert failed.value.reason == "model_fails_task"


# The verdict


def make_share(value: float, spread: float = 0.02, n: int = 100) -> Estimate:
    return Estimate(value, value - spread, value + spread, n, "fraction of the logit difference", 0.95)


def make_evidence(
    swap: float, remove: float = 0.3, move: float = 0.3, rest: float = 0.8, **more: float
) -> RegionEvidence:
    n, spread = int(more.get("n", 100)), more.get("spread", 0.02)
    values = {SWAP: swap, REMOVE: remove, MOVE: move, REST: rest}
    return RegionEvidence(
        effects={name: make_share(value, spread, n) for name, value in values.items()},
        narrow=make_share(swap, 0.8 * spread, n), smallest=0.1, p_null=more.get("p", 0.02), n_places=int(more.get("places", 45)),
        does_task=bool(more.get("task", 1)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("evidence", "state", "reason"),
    [
        (make_evidence(0.5), State.SUPPORTED, None),
        (make_evidence(0.0, 0.0, 0.0), State.NEGLIGIBLE, None),
        (make_evidence(-0.5, -0.3, -0.3), State.REVERSED, None),
        (make_evidence(0.5, n=19), State.INCONCLUSIVE, "low_power"),
        (make_evidence(0.5, task=0), State.INCONCLUSIVE, "model_fails_task"),
        (make_evidence(0.11), State.INCONCLUSIVE, "straddles_delta"),
        (make_evidence(0.5, remove=0.0), State.INCONCLUSIVE, "ablations_disagree"),
        (make_evidence(0.5, move=-0.4), State.INCONCLUSIVE, "ablations_disagree"),
        (make_evidence(0.0, remove=0.11, move=0.0), State.INCONCLUSIVE, "ablations_disagree"),
        (make_evidence(0.0, 0.0, 0.0, rest=0.0), State.INCONCLUSIVE, "control_failed"),
        (make_evidence(0.5, p=0.06), State.INCONCLUSIVE, "null_not_beaten"),
        (make_evidence(0.5, places=18), State.INCONCLUSIVE, "no_null"),
    ],
)
def test_each_verdict_has_its_reason(evidence: RegionEvidence, state: State, reason: str | None) -> None:
    found = judge_region(evidence)
    assert (found.state, found.reason) == (state, reason)
    assert reason is None or reason in REASONS
    assert found.sentence.startswith("Inconclusive") is (state is State.INCONCLUSIVE)


def test_a_few_images_are_too_few_for_a_verdict() -> None:
    found = measure(make_network(4, 4), make_file(16))
    assert (found.verdict.state, found.verdict.reason) == (State.INCONCLUSIVE, "low_power")


def test_no_map_enters_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    before = measure(make_network(4, 4))
    monkeypatch.setattr(
        "audit_core.vision.measurement.METHODS",
        tuple(
            replace(method, read=lambda subject, images, *_: np.ones_like(images))
            for method in measure_methods()
        ),
    )  # fmt: skip
    after = measure(make_network(4, 4))
    assert after.verdict == before.verdict
    assert after.maps != before.maps
    assert next(row for row in after.maps if row.method == "integrated_gradients").refused


def measure_methods() -> tuple:  # type: ignore[type-arg]
    from audit_core.vision.maps import METHODS

    return METHODS


# Files and folders of users


@pytest.mark.parametrize(
    ("raw", "answers", "words"),
    [
        (b"\xff\xfe", {}, "parse"),
        (b"x,y\n1,2\n", {}, "label"),
        (b"label,p0\n3,1\n", {}, "2 columns"),
        (b"x" * 4_000_001, {}, "bytes"),
        (make_file().replace(b",16,", b",17,", 1), {"contrast": "0,1"}, "17"),
        (make_file().replace(b",16,", b",<b>,", 1), {"contrast": "0,1"}, "whole numbers"),
        (read_marked(), {"contrast": "3,3"}, "classes"),
        (read_marked(), {"contrast": "3,10"}, "classes"),
        (read_marked(), {"contrast": "3,4"}, "No image of class 4"),
        (read_marked(), {"region": "7,7,2,2"}, "region"),
        (read_marked(), {"region": "0,0,5,5"}, "region"),
        (read_marked(), {"region": "3,3,2,2"}, "centre"),
        (read_marked(), {"region": "a"}, "whole numbers"),
        (read_marked(), {"smallest": "1.5"}, "fraction"),
    ],
)
def test_a_file_or_answer_that_cannot_be_used_is_refused(raw: bytes, answers: dict[str, str], words: str) -> None:
    with pytest.raises(Refused, match=words):
        get_plugin("audits", "vision").ask_file(open_subject(MARKED), raw, "own.csv", answers)


def test_a_region_that_is_the_same_everywhere_is_refused() -> None:
    images = read_images(make_file(), make_network(4, 4), (0, 1))
    with pytest.raises(Refused, match="same in all images"):
        ask_images(images, Region(3, 0, 2, 2), (0, 1), "own", seed=0)


def test_images_beyond_the_most_are_left_out_and_counted() -> None:
    images = read_images(make_file(440), make_network(4, 4), (0, 1))
    prompts = ask_images(images, REGION, (0, 1), "own", seed=0)
    assert len(prompts) == 400
    assert prompts.notices[0].startswith("40 of 440 images")
    few = ask_images(read_images(make_file(), make_network(4, 4), (0, 1)), REGION, (0, 1), "own", seed=0)
    assert few.notices == ()


def test_the_region_is_read_as_written() -> None:
    assert parse_region(" 0, 1,2,3 ", 8) == Region(0, 1, 2, 3)
    assert len(REGION.list_elsewhere(8)) == 45


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER / MARKED, tmp_path / "own"))


def test_a_users_folder_of_the_known_architecture_opens(folder: Path) -> None:
    (folder / "assay.json").unlink()
    subject = open_subject(str(folder))
    assert subject.identity.weights_sha256 == open_subject(MARKED).identity.weights_sha256
    assert subject.identity.licence == "not stated"


def test_a_folder_that_is_not_of_the_known_architecture_is_refused(folder: Path) -> None:
    (folder / "assay.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"channels": [8, 17]}))
    with pytest.raises(ModelRefused, match="conv1"):
        open_subject(str(folder))
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors | {"more": np.zeros(3_000_000, np.float32)}, folder / "model.safetensors")
    with pytest.raises(ModelRefused, match="bytes"):
        open_subject(str(folder))
    (folder / "model.safetensors").unlink()
    (folder / "model.bin").write_bytes(b"pickle")
    with pytest.raises(AuditError, match="safetensors"):
        open_subject(str(folder))


def test_an_image_classifier_is_asked_no_question_about_texts_and_the_other_way_round() -> None:
    subject = open_subject(MARKED)
    with pytest.raises(CapabilityRefused):
        get_plugin("audits", "ablation").require(subject)
    with pytest.raises(Refused):
        subject.tokenizer.encode("When Mary and John went")
    assert get_plugin("audits", "vision").explain_missing(object()) == "This kind of model reads no images."


def test_progress_rises_to_its_end_and_a_cancelled_run_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    network = make_network(4, 4)
    request = VisionRequest(
        ask_images(read_images(make_file(24), network, (0, 1)), REGION, (0, 1), "own", seed=0), REGION
    )  # fmt: skip
    seen: list[tuple[int, int]] = []
    measure_vision(network, request, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (seen[0][1],) * 2
    assert len({done for done, _ in seen}) > 20

    def stop(done: int, total: int) -> None:
        if done > total / 2:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        measure_vision(network, request, on_progress=stop)


def test_a_classifier_is_timed_before_its_first_run() -> None:
    pace, subject = Pace(), open_subject(MARKED)
    request = get_plugin("audits", "vision").ask_file(subject, read_marked(), "marked.csv", {})
    work = get_plugin("audits", "vision").count_work(subject, request)
    assert pace.predict_s("vision", work) is None
    pace.calibrate(subject)
    assert 0.05 < (pace.predict_s("vision", work) or 0) < 600
