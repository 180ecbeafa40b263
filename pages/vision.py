"""Vision: what maps over an image show, beside what changing a region of it does."""

from ui.flow import answers
from ui.flow.history import show_history
from ui.flow.recorded_first import wait_for_model
from ui.flow.subject_view import ask_in, close_questions
from ui.parts.tabs import lazy_tabs
from ui.parts.workbench import open_frame
from ui.shell import link
from ui.vision import concepts, form, show

# 1. ask

link.seed(form.FIELDS)
frame = open_frame(
    "Vision",
    "See where maps look in an image. Apart from it, measure whether the answer relies on a region.",
)
with frame.question:
    network = form.ask_network()
given = ask_in(frame.question, form.ask_images)
close_questions(frame, form.FIELDS)

# 2. compute

recorded = form.pick_recorded(given, network)
auditor = None
if recorded is not None:
    result = recorded.result
    form.note_recorded(frame.progress, recorded)
else:
    with frame.answer:
        auditor = wait_for_model(network)
    request = ask_in(frame.answer, lambda: form.make_request(auditor, given))
    with frame.answer:
        title = f"Measure the region on {len(request.prompts)} images"
        result = answers.answer_by_job(auditor, "vision", title, request, at_once=False, can_freeze=True)

# 3. show

if result is not None:
    with frame.answer:
        show.show_answer(result)
    with frame.panes:
        show.show_panes(result)
    with frame.tabs:
        lazy_tabs(
            {
                "Maps": lambda: show.show_maps(result),
                "Shuffled weights": lambda: show.show_sanity(result),
                "Concepts": lambda: concepts.show_concepts(result),
                "Other places": lambda: show.show_places(result),
                "With and without the marker": lambda: show.show_control(result),
                "Region and conditions": lambda: show.show_details(result),
            }
            | ({} if auditor is None else {"History": lambda: show_history(auditor.subject.identity.short)}),
            key="vision-tabs",
        )
