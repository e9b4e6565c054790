"""The model card of an export: README.md with YAML front matter, as the hub reads it.

https://huggingface.co/docs/hub/model-cards
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from jaxgan.errors import printable
from jaxgan.sharing.export.bundle import Bundle
from jaxgan.sharing.record import Record, read_record
from jaxgan.sharing.texts import facts_in_words, finding_lines, number, summary_of

PIPELINES = {
    "latents": "unconditional-image-generation",
    "pictures": "image-to-image",
    "tokens": "text-generation",
    "vector": "",
    "waveform": "",
}
"""Tasks as the hub names them, by what samples are."""


def text(bundle: Bundle, *, has_picture: bool) -> str:
    """Returns the content of README.md.

    Args:
      bundle: the run and its weights.
      has_picture: True if there is a samples.png beside it.
    """
    from jaxgan.sharing.export.weights import without_folders

    record = read_record(bundle.run.folder)
    dataset = without_folders(record.flags["dataset"])
    front = yaml.safe_dump(
        front_matter(bundle, record, dataset), sort_keys=False, allow_unicode=True
    )
    parts = [f"---\n{front}---\n", f"# {_plain(record.name)}\n"]
    if has_picture:
        parts.append("![Samples](samples.png)\n")
    parts += [_about(bundle, record, dataset), _use(bundle), _training(record, dataset)]
    parts += [*_evaluations(record), _limits(record)]
    return "\n".join(parts)


def front_matter(bundle: Bundle, record: Record, dataset: str) -> dict[str, Any]:
    """Returns the metadata of the card.

    Metrics are those of evaluations of the exported step, and the score of the run.
    """
    found = {
        "license": bundle.license,
        "library_name": "jaxgan",
        "pipeline_tag": _pipeline(bundle),
        "tags": ["gan", "jax", "flax", "jaxgan", record.flags["preset"]],
        "datasets": [dataset] if re.fullmatch(r"[\w/.-]+", dataset) else [],
    }
    results = list(_results(bundle, record, dataset, found["pipeline_tag"]))
    if results:
        names = [x["type"] for result in results for x in result["metrics"]]
        found["metrics"] = list(dict.fromkeys(names))
        found["model-index"] = [{"name": record.name, "results": results}]
    return {k: x for k, x in found.items() if x}


def _pipeline(bundle: Bundle) -> str:
    example = bundle.run.example
    kind = example[example.generated].kind
    if kind == "image":
        maps = bundle.run.gan.task.transform is not None
        return PIPELINES["pictures" if maps else "latents"]
    return PIPELINES.get(kind, "")


def _results(
    bundle: Bundle, record: Record, dataset: str, task: str
) -> Iterator[dict[str, Any]]:
    """Yields an entry of the model index per evaluation of the exported step."""
    for evaluation in record.evaluations.values():
        protocol = evaluation["protocol"]
        if protocol.get("step") != bundle.step:
            continue
        args = {k: x for k, x in protocol.items() if isinstance(x, str | int)}
        # Copies, as YAML would refer from one to another.
        metrics = [
            {"type": name, "value": x["value"], "name": name, "args": dict(args)}
            for name, x in evaluation["metrics"].items()
            if isinstance(x, dict) and isinstance(x.get("value"), int | float)
        ]
        yield {
            "task": {"type": task or "other"},
            "dataset": {"name": dataset, "type": dataset},
            "metrics": metrics,
        }


def _about(bundle: Bundle, record: Record, dataset: str) -> str:
    flags, parameters = record.flags, "newest" if bundle.raw else "moving average"
    return (
        f"A generative adversarial network, trained by [jaxgan](https://github.com/"
        f"jaxgan/jaxgan) on `{_plain(dataset)}`: task `{_plain(flags['task'])}`, "
        f"networks `{_plain(flags['networks'])}`, loss `{_plain(flags['loss'])}`, step "
        f"{bundle.step:,} of {flags['steps']:,}. The weights are the generator's "
        f"{parameters}.\n"
    )


def _use(bundle: Bundle) -> str:
    lines = ["## Use\n", "```python", "import jax", "import jaxgan", ""]
    lines.append('model = jaxgan.load_exported("FOLDER")')
    inputs, classes = bundle.run.gan.task.inputs, bundle.run.example.classes
    values = {"label": f"jax.numpy.arange(64) % {len(classes)}"}
    if "attributes" in inputs:
        names = bundle.run.example["attributes"].names
        values["attributes"] = f"jax.numpy.zeros((64, {len(names)})).at[:, 0].set(1)"
        lines.append(f"# attributes: {_plain(', '.join(names))}")
    if inputs:
        batch = ", ".join(f'"{name}": {values.get(name, name)}' for name in inputs)
        lines.append(f"batch = {{{batch}}}")
    more = ", batch" if inputs else ""
    lines.append(f"samples = model.sample(jax.random.key(0), 64{more})")
    lines.append("```\n")
    if "training_state" in bundle.parts:
        lines += [
            "Training continues from `training_state/` in a new run of the same or "
            "other flags:\n",
            "    python -m jaxgan.train --init_from=hf:FOLDER --init_optimizer ...\n",
        ]
    return "\n".join(lines)


def _training(record: Record, dataset: str) -> str:
    command = record.command.replace(record.flags["dataset"], dataset)
    lines = ["## Training\n", f"    {printable(command)}\n"]
    size, seconds = record.data.get("size"), record.last("seconds")
    if isinstance(size, int):
        lines.append(f"{size:,} examples of shape {record.data.get('shape')}.")
    if seconds:
        lines.append(f"{number(seconds / 60)} minutes.")
    if record.sessions:
        last = record.sessions[-1]
        versions = ", ".join(f"{k} {x}" for k, x in last.get("versions", {}).items())
        lines.append(f"{_plain(str(last.get('devices', '')))}; {_plain(versions)}.")
    return "\n".join(lines) + "\n"


def _evaluations(record: Record) -> Iterator[str]:
    """Yields a table of metrics for each evaluation, with its protocol."""
    for name, evaluation in record.evaluations.items():
        lines = [f"## Evaluation ({_plain(name)})\n"]
        lines += ["| metric | value | floor |", "|---|---|---|"]
        for metric, x in evaluation["metrics"].items():
            if isinstance(x, dict):
                spread = f" ± {number(x['std'])}" if "std" in x else ""
                floor = number(x.get("floor"))
                value = f"{number(x.get('value'))}{spread}"
                lines.append(f"| {_plain(metric)} | {value} | {floor} |")
        protocol = evaluation["protocol"]
        lines += ["", _plain(summary_of(protocol)), ""]
        lines += [
            f"* {_plain(key)}: {_plain(x)}" for key, x in facts_in_words(protocol)
        ]
        yield "\n".join(lines) + "\n"


def _limits(record: Record) -> str:
    lines = ["## Known faults\n", "The monitor of the run reports:\n"]
    lines += [f"* {_plain(x)}" for x in finding_lines(record.findings)]
    lines += ["", "Mark what this model generates as generated."]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Returns a text that neither Markdown nor HTML reads as markup.

    >>> _plain("a|<b>")
    'a&#124;&lt;b&gt;'
    """
    escapes = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "`": "'"}
    return "".join(escapes.get(c, c) for c in printable(text))
