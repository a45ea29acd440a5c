"""Works on tasks that lock themselves: here one after the other, or in processes beside each other.

Several launches may work on the same tasks, from several machines: what another one holds is left
to it, and looked at again later.
"""

import multiprocessing
import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from typing import Any, Generic, TypeVar

from ..common.progress import Advance
from .command import TrainerFailed
from .locks import OTHERS, looks, pause

_POLL = 0.5  # seconds between two looks at the children

Spec = TypeVar("Spec")
Job = TypeVar("Job")
# Does a job from what all jobs share; False where another process holds it. Called in children
# too: a function of a module. Polls `stopping` and reports what it has done to `advance`.
Work = Callable[[Spec, Job, Callable[[], bool], Advance], bool]


def unfinished(
    jobs: Sequence[Job],
    is_finished: Callable[[Job], bool],
    images: Callable[[Job], int],
    advance: Advance,
) -> list[Job]:
    """The jobs that are left; reports the images of the others, for which no process is started."""
    left = []
    for job in jobs:
        if is_finished(job):
            advance(images(job), resumed=True)
        else:
            left.append(job)
    return left


def work_on_all(
    work: Work[Spec, Job],
    spec: Spec,
    jobs: Sequence[Job],
    *,
    processes: int,
    stopping: Callable[[], bool],
    advance: Advance,
) -> None:
    """Returns when every job is done, here or elsewhere.

    processes: jobs that are worked on at once here; spec and jobs travel to child processes.

    Raises:
        Interrupted: `stopping()` became true; the same call goes on.
    """
    waiting, until_next = list(jobs), looks()
    while waiting:
        if processes > 1:
            waiting = _Pool(work, spec).run(waiting, processes, stopping, advance)
        else:
            waiting = [job for job in waiting if not work(spec, job, stopping, advance)]
        if waiting:  # others work on them; to look at them takes children seconds
            pause(OTHERS if processes > 1 else next(until_next), stopping)


CommandTask = tuple[str, int]  # an arm and the number of a seed
# Runs the command of a task at a place, from 0: its result, or None where another process does.
RunCommand = Callable[[CommandTask, int], dict[str, Any] | None]


def run_all_commands(
    run: RunCommand,
    tasks: Sequence[CommandTask],
    *,
    processes: int,
    stopping: Callable[[], bool],
    advance: Advance,
    failing: Callable[[str, str], None],
) -> tuple[dict[CommandTask, dict[str, Any]], dict[str, str]]:
    """Task -> result, and arm -> why it has none. Waits for tasks of other processes.

    processes: commands at once. failing: gets arm and reason where one fails.

    Raises:
        Interrupted: `stopping()` became true; the same call goes on.
    """
    found: dict[CommandTask, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    places: queue.SimpleQueue[int] = queue.SimpleQueue()
    for place in range(processes):
        places.put(place)

    def work(task: CommandTask) -> bool:
        """Whether it is done; False where another process holds it."""
        (arm, number), place = task, places.get()
        try:
            result = run(task, place)
            if result is None:
                return False
            found[task] = result
        except TrainerFailed as error:
            failed[arm] = f"seed {number}: {error}"
            failing(arm, failed[arm])
        finally:
            places.put(place)
        advance(1)
        return True

    waiting, until_next = list(tasks), looks()
    while waiting:
        with ThreadPoolExecutor(processes, "command") as pool:
            futures = [pool.submit(work, task) for task in waiting]
            try:
                done = [future.result() for future in futures]
            finally:
                pool.shutdown(cancel_futures=True)
        waiting = [task for task, finished in zip(waiting, done, strict=True) if not finished]
        if waiting:  # others work on them
            pause(next(until_next), stopping)
    return found, failed


class _Child:
    """What a child process has of its parent: a flag to stop, and counters of images."""

    stop: Any = None
    counters: Any = None  # images made, images resumed


def _begin_child(stop: Any, counters: Any) -> None:
    import signal

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(each, signal.SIG_IGN)  # the parent's flag ends it
    _Child.stop, _Child.counters = stop, counters


def _work_in_child(work: Work[Spec, Job], spec: Spec, job: Job) -> bool:
    def count(images: int, /, *, resumed: bool = False) -> None:
        counters = _Child.counters
        with counters.get_lock():
            counters[resumed] += images

    return work(spec, job, _Child.stop.is_set, count)


class _Pool(Generic[Spec, Job]):
    """Child processes that work on jobs at once."""

    def __init__(self, work: Work[Spec, Job], spec: Spec) -> None:
        self._work, self._spec = work, spec

    def run(
        self,
        jobs: Sequence[Job],
        processes: int,
        stopping: Callable[[], bool],
        advance: Advance,
    ) -> list[Job]:
        """Gives the jobs that other launches hold."""
        context = multiprocessing.get_context("spawn")
        stop, counters = context.Event(), context.Array("q", 2)
        seen = [0, 0]
        with ProcessPoolExecutor(processes, context, _begin_child, (stop, counters)) as pool:
            started: Mapping[Future[bool], Job] = {
                pool.submit(_work_in_child, self._work, self._spec, job): job for job in jobs
            }
            running = set(started)
            try:
                while running:
                    done, running = wait(running, _POLL, FIRST_COMPLETED)
                    for future in done:
                        future.result()
                    if stopping():
                        stop.set()
                    now = counters[:]
                    for resumed in (True, False):
                        if now[resumed] > seen[resumed]:
                            advance(now[resumed] - seen[resumed], resumed=resumed)
                    seen = now
            except BaseException:
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise
        return [job for future, job in started.items() if not future.result()]
