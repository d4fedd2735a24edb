"""What an erasure finds while it is at work, and what it says in the end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field

from jobs.errors import Refused
from jobs.lake import files

FILES_SAID = 5


@dataclass(frozen=True)
class Receipt:
    """What an erasure did. It does not hold the erased values.

    Attributes:
        use_case: its name.
        entity: the columns that named the entity.
        tombstone: the keyed hash that keeps it from coming back; the first of them where sources
            declare its columns with different types.
        at: when it was done.
        reason: why.
        rows: rows removed, by landing file, table or batch.
        looked_at: what was looked at and held nothing.
        models: registered versions that learned from rows of it. They are not changed.
        unsearched: landing files that may still name it, and why it was not taken out of them.
    """

    use_case: str
    entity: tuple[str, ...]
    tombstone: str
    at: dt.datetime
    reason: str
    rows: Mapping[str, int] = field(default_factory=dict)
    looked_at: tuple[str, ...] = ()
    models: tuple[int, ...] = ()
    unsearched: Mapping[str, str] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        versions = ", ".join(map(str, self.models))
        models = f"; model versions {versions} learned from it" if versions else ""
        return (
            f"Erased {sum(self.rows.values())} rows of one entity of {self.use_case} (by "
            f"{', '.join(self.entity)}) from {len(self.rows)} places{models}. Tombstone "
            f"{self.tombstone[:12]}… keeps it from coming back."
        )

    def require_all_searched(self) -> None:
        """Say what may still name the entity.

        Raises:
            Refused: there are such files.
        """
        if not self.unsearched:
            return
        files = [f"{name} {why}" for name, why in sorted(self.unsearched.items())]
        more = f"; and {len(files) - FILES_SAID} more" if len(files) > FILES_SAID else ""
        raise Refused(
            f"{len(files)} landing files of {self.use_case} may still name the entity, because it "
            f"cannot be taken out of them: {'; '.join(files[:FILES_SAID])}{more}.",
            "Remove them or have them delivered again, then erase again; all else is erased.",
        )


@dataclass
class Progress:
    """What was found so far; of rows and models a run that is killed loses nothing.

    Attributes:
        folder: where receipts are kept.
        tombstone: the entity's.
        say: is told each place that held something.
        rows, looked_at, models, unsearched: as in `Receipt`.
    """

    folder: str
    tombstone: str
    say: Callable[[str], None]
    rows: dict[str, int] = field(default_factory=dict)
    looked_at: list[str] = field(default_factory=list)
    models: list[int] = field(default_factory=list)
    unsearched: dict[str, str] = field(default_factory=dict)

    def begin(self, models: Collection[int]) -> None:
        """Go on from what a run that was killed had found, with the models that are known now.

        What it has removed already tells of no model any more.
        """
        begun = files.read_json(self._unfinished) or {"models": [], "rows": {}}
        self.rows, self.models = begun["rows"], sorted({*begun["models"], *models})
        self._keep()

    def note(self, place: str, gone: int) -> None:
        """So many rows were removed there."""
        if gone:
            self.rows[place] = self.rows.get(place, 0) + gone
            self._keep()
            self.say(f"{place}: {gone} rows")
        elif place not in self.rows:
            self.looked_at.append(place)

    def leave(self, file: str, why: str) -> None:
        """A landing file may still name the entity."""
        self.unsearched[file] = why
        self.say(f"landing {file}: not searched, because it {why}")

    def end(self, use_case: str, entity: Collection[str], reason: str) -> Receipt:
        """Write the receipt."""
        receipt = Receipt(
            use_case,
            tuple(sorted(entity)),
            self.tombstone,
            dt.datetime.now(dt.UTC),
            reason,
            self.rows,
            tuple(self.looked_at),
            tuple(self.models),
            self.unsearched,
        )
        name = f"{receipt.at:%Y%m%dT%H%M%SZ}-{receipt.tombstone[:8]}"
        files.write_json(f"{self.folder}/{name}.json", asdict(receipt))
        files.remove_file(self._unfinished)
        return receipt

    @property
    def _unfinished(self) -> str:
        return f"{self.folder}/unfinished-{self.tombstone[:16]}.json"

    def _keep(self) -> None:
        files.write_json(self._unfinished, {"models": self.models, "rows": self.rows})
