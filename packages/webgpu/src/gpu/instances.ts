/**
 * Keeps a user's instance of Dawn referenced until `settled` has come and the callbacks that were scheduled until then
 * have run. The bindings call an instance from scheduled callbacks that do not own it: one that is collected too early
 * crashes the process.
 */
export function keepUntilDrained(gpu: GPU, settled: Promise<unknown>): void {
  const hold = { gpu };
  held.add(hold);
  const drain = async (): Promise<void> => {
    for (let turn = 0; turn < TURNS; turn++) await new Promise<void>((resume) => setTimeout(resume));
    held.delete(hold);
  };
  void settled.then(drain, drain);
}

/** One entry a call, since backends may share an instance. */
const held = new Set<{ readonly gpu: GPU }>();

/** Turns of the event loop after which a callback that was scheduled before has surely run; one is needed. */
const TURNS = 4;
