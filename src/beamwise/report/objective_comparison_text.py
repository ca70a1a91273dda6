"""Words of the report on a comparison of training methods."""

from __future__ import annotations

HOW_TO_READ = (
    "{users:,} test targets, beam of {beam_width}, every method with the same data, model and "
    "schedule unless its settings say otherwise. Epochs, and settings where several were tried, "
    "were chosen by the validation targets ({selection}); the test targets were ranked once, by "
    "beam search and by exact ranking of the whole catalog, and count by {leaves}.\n\n"
    "First line of a cell: mean over seeds, 95 % interval, standard deviation of the seeds' means. "
    "Second line: difference to {baseline}, 95 % interval, p after Holm's correction over the "
    "{others} comparisons of the column; bold where p < .05. Intervals and p are for users like "
    "these and further seeds ({resamples:,} paired resamples of users, errors of seeds by "
    "Student's t, seed by seed where both methods have the same ones); of a method with one "
    "seed they are for that seed alone. They are conditional on "
    "the data, the split and the settings. Columns are views of the same rankings, "
    "not independent evidence."
)
LEVEL = (
    "Level: reproduced where every printed figure lies within our 95 % interval or below it, and "
    "of figures that the paper prints below the baseline's, ours are below it too; undecided where "
    "an interval holds the printed figure and is wider than it."
)
DIRECTION = (
    "Direction: holds where our difference to the baseline has the printed one's sign and is "
    "established after Holm's correction; opposite where one of the other sign is established."
)
BESIDE_THE_PAPER = (
    f"Printed figures first, ours below, under beam search and counted by ID. {LEVEL} {DIRECTION}"
)
WHAT_IMPROVED = (
    "Recall under beam search is recall under exact ranking (the model) plus what the beam changes "
    "(survival: targets that it returns only because it pruned better items, minus targets that it "
    "pruned). So a difference under beam search is the sum of the two; each is tested by itself."
)
WHAT_WAS_LOST = (
    "Added up over seeds. A target is pruned at the token with which its prefix falls out of the "
    "beam. One token explains that where it is not among as many most probable tokens after its "
    "true prefix as the beam is wide: whatever the rest of the beam, there was no place for it."
)
SETTINGS_TRIED = (
    "Judged by the best {selection} on the validation targets, mean over the seeds tried; bold is "
    "what was chosen. Test targets were ranked for the chosen settings only. A method without a "
    "table here was trained with one setting, that of its source."
)
