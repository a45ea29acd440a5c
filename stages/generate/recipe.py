"""The recipe: every choice that can change a pixel of a shard's images, except its plan rows.

Its JSON stands in index.json and in the ledger; the digest of that JSON identifies shards.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import canonical_digest
from ...manifests.plan.methods import NEW_CLASS_METHODS
from ...models.method.options import (
    BridgeOptions,
    ConditionOptions,
    RenoiseOptions,
    SampleOptions,
    ScoreMixOptions,
    SeamOptions,
    SolverOptions,
)
from ...models.network.compilers import Compile
from .config import CONDITIONED, GenerateConfig, Method

ALGORITHM = 3  # raised whenever equal options would make other pixels

# Options of later versions, left out of the JSON where they have the only value of earlier ones.
_AS_BEFORE = {
    "compile": "off", "contrast": "plain", "gamma": 0.0, "guidance": 1.0, "guide": "early",
    "keep": "noise",
}  # fmt: skip

Options = (
    ScoreMixOptions | BridgeOptions | RenoiseOptions | SampleOptions | SeamOptions | SolverOptions
)


@dataclass(frozen=True)
class Recipe:
    """What the images of a shard are made with; fields of None are left out of its JSON."""

    algorithm: int
    method: Method | Literal["real"]
    corpus_digest: str
    micro_batch: int
    precision: str
    compile: Compile = "off"
    model_sha256: str | None = None  # of the score network's weights; None without one
    sigma_1: float | None = None
    sigma_N: float | None = None
    contrast: str = "plain"
    guidance: float = 1.0
    guide: str = "early"  # null-class: the same network without a class
    guide_sha256: str | None = None  # of the early state's weights, where it guides
    means_sha256: str | None = None  # of the mean images, for methods that mix about them
    new_classes_sha256: str | None = None  # of the list of new classes, for methods that make them
    options: Options | None = None  # of methods that follow the score
    format: str | None = None  # of the image files, as in section `write`
    encoder: str | None = None

    @classmethod
    def from_config(
        cls,
        config: GenerateConfig,
        model: dict[str, Any] | None,
        corpus_digest: str,
        means_sha256: str | None = None,
        new_classes_sha256: str | None = None,
    ) -> "Recipe":
        """The recipe of augmented images, without format and encoder.

        config: resolved. model: the content of model.json, None for a method without a network.
        means_sha256: of the corpus's mean images; needed where `config.needs_means`.
        new_classes_sha256: of the new classes, for methods that make them.
        """
        assert isinstance(config.batch, int)
        assert config.method is not None and config.method != "auto", "the pilot decides"
        assert means_sha256 is not None or not config.needs_means
        has_new = config.method in NEW_CLASS_METHODS
        assert new_classes_sha256 is not None or not has_new
        common = cls(
            ALGORITHM,
            config.method,
            corpus_digest,
            config.batch,
            config.precision,
            contrast=config.contrast if config.method == "mixup" else "plain",
            means_sha256=means_sha256 if config.needs_means else None,
            new_classes_sha256=new_classes_sha256 if has_new else None,
        )
        if model is None or not config.needs_network:
            return common
        return replace(
            common,
            compile=config.compile,
            model_sha256=model["weights_sha256"],
            sigma_1=model["ladder"]["sigma_1"],
            sigma_N=model["ladder"]["sigma_N"],
            options=_options(config, model),
            **guidance_of(config, model),
        )

    def for_real_images(self) -> "Recipe":
        """The recipe of the real images' shards: the corpus, and the network that gives norms."""
        return replace(
            self,
            method="real",
            sigma_1=None,
            sigma_N=None,
            contrast="plain",
            guidance=1.0,
            guide="early",
            guide_sha256=None,
            means_sha256=None,
            new_classes_sha256=None,
            options=None,
            format=None,
        )

    def with_fewest_steps(self) -> "Recipe":
        """The same with one step of each kind: as much memory in a fraction of the time."""
        options = self.options
        if isinstance(options, ScoreMixOptions):
            options = replace(options, steps=min(options.steps, 1), denoise_steps=2)
        elif isinstance(options, SolverOptions):
            options = replace(options, solver_steps=2)
        elif options is not None:
            options = replace(options, denoise_steps=2)
        return replace(self, options=options)

    def as_json(self) -> dict[str, Any]:
        """The recipe as index.json, the ledger and the digest have it: one level of names."""
        fields = asdict(self)
        options = fields.pop("options") or {}
        named = {name: value for name, value in fields.items() if value is not None} | options
        return {
            name: value
            for name, value in named.items()
            if name not in _AS_BEFORE or value != _AS_BEFORE[name]
        }

    @property
    def digest(self) -> str:
        """sha256 of its JSON: `recipe_digest` of manifests and markers."""
        return canonical_digest(self.as_json())


def _options(config: GenerateConfig, model: dict[str, Any]) -> Options:
    if config.method in CONDITIONED:
        if config.method == "condition-mix":
            return ConditionOptions(config.solver_steps, config.mixed_condition)
        return SolverOptions(config.solver_steps)
    assert config.t0 is not None and config.denoise_steps is not None
    if config.method == "bridge":
        return BridgeOptions(config.t0, config.denoise_steps, config.keep, config.gamma)
    if config.method == "sample":
        return SampleOptions(config.denoise_steps)
    assert config.steps is not None and config.lr is not None and config.noise_rule is not None
    if config.method == "renoise":
        return RenoiseOptions(config.t0, config.denoise, config.denoise_steps, config.noise_rule)
    if config.repairs_seams:
        assert config.repair_t0 is not None
        return SeamOptions(
            config.repair_t0, config.denoise, config.denoise_steps, config.noise_rule
        )
    return ScoreMixOptions(
        steps=config.steps,
        lr=config.lr,
        stop_norm=model["norm_real"]["median"] if config.stop == "real" else None,
        score_noise=config.score_noise,
        t0=config.t0,
        denoise=config.denoise,
        denoise_steps=config.denoise_steps,
        noise_rule=config.noise_rule,
    )


def guidance_of(config: GenerateConfig, model: dict[str, Any]) -> dict[str, Any]:
    """The recipe's fields of guidance, by a network of these facts (model.json).

    Raises:
        ConfigError: the training kept no guide, or knows no null class.
    """
    if config.guidance == 1.0:
        return {}
    if config.guide == "null-class":
        if not model["architecture"].get("classes"):
            raise ConfigError(
                "generate.guide is null-class, and this network knows no classes. Set train.labels"
                " to true, or generate.guide to early."
            )
        return {"guidance": config.guidance, "guide": config.guide}
    if not model.get("guide_sha256"):
        raise _no_guide(config, model)
    return {"guidance": config.guidance, "guide_sha256": model["guide_sha256"]}


def check_guide_differs(config: GenerateConfig, model: dict[str, Any]) -> None:
    """Refuses guidance by the chosen state itself, which changes nothing: versions of before kept
    that as its own guide. Before images are made: what was made so stays readable.

    Raises what guidance_of raises, too.
    """
    fields = guidance_of(config, model)
    if fields.get("guide_sha256", "") == model["weights_sha256"]:
        raise _no_guide(config, model)


def _no_guide(config: GenerateConfig, model: dict[str, Any]) -> ConfigError:
    chosen = model.get("training", {}).get("chosen_step", 0)
    return ConfigError(
        f"generate.guidance is {config.guidance:g}, but this network, of step {chosen:,}, has no"
        " guide, an earlier state of its own training. Set generate.guidance to 1, or train again"
        f" with train.checkpoint_every: {max(1, chosen // 4)}."
    )
