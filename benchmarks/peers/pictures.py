"""The pictures, in the environment that has matplotlib: `python pictures.py NAME OUT < values.json`."""

import json
import sys

import matplotlib as mpl
from matplotlib import pyplot as plt

mpl.use("svg")
mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "twitter", "font.size": 9, "axes.spines.top": False}
mpl.rcParams |= {"axes.spines.right": False, "font.family": "sans-serif", "savefig.bbox": "tight"}
OURS, OTHER = "#0f62fe", "#a8a8a8"


def compare(values):
    """Bars of CPU time and of peak memory, one row a tool."""
    values = dict(sorted(values.items(), key=lambda each: -each[1][0]))
    figure, (cpu_axes, memory_axes) = plt.subplots(1, 2, figsize=(8.5, 2.9), sharey=True)
    for axes, at, title in ((cpu_axes, 0, "CPU seconds"), (memory_axes, 2, "MB at the peak")):
        numbers = [each[at] for each in values.values()]
        colours = [OURS if name == "this pipeline" else OTHER for name in values]
        bars = axes.barh([*values], numbers, color=colours)
        axes.bar_label(
            bars, [f"{number:.1f}" if at == 0 else f"{number:.0f}" for number in numbers], padding=3
        )
        axes.set_title(title, loc="left")
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.margins(x=0.12)
    cpu_axes.invert_yaxis()
    return figure


def growth(values):
    """Lines by posts; grey is what linear growth would be. Memory alone is not logarithmic."""
    figure, panels = plt.subplots(1, 3, figsize=(8.5, 2.8))
    shown = (("cpu", "CPU seconds beyond imports"), ("peak", "MB at the peak"), ("s3", "requests"))
    for axes, (measure, title) in zip(panels, shown, strict=True):
        for (name, sized), colour in zip(values.items(), ("#0f62fe", "#fa4d56", "#198038"), strict=True):
            posts = [one["posts"] for one in sized]
            label = f"{name} to S3" if measure == "s3" else name
            axes.plot(posts, [one[measure] for one in sized], "o-", color=colour, label=label, markersize=3)
            if measure == "s3" and "x" in sized[0]:
                x = [one["x"] for one in sized]
                axes.plot(posts, x, "--", color=colour, label=f"{name} to X")
        axes.set(xscale="log", xlabel="posts")
        axes.set_title(title, loc="left", fontsize=9)
        if measure == "peak":
            axes.set_ylim(0, None)
            continue
        axes.set_yscale("log")
        low = axes.get_ylim()[0]
        axes.plot([1e3, 1e6], [low * 1.5, low * 1500], color=OTHER, linewidth=1, zorder=0, label="linear")
        axes.legend(frameon=False, fontsize=7)
    return figure


if __name__ == "__main__":
    figure = globals()[sys.argv[1]](json.load(sys.stdin))
    figure.tight_layout()
    figure.savefig(sys.argv[2], metadata={"Date": None} if sys.argv[2].endswith("svg") else None)
