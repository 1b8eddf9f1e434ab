/**
 * Keeps a user's instance of Dawn referenced until `settled` resolves and the callbacks that were scheduled before have
 * run. The bindings call an instance from scheduled callbacks that do not own it: one that is collected too early
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

/** One entry for each call, since backends may share an instance. */
const held = new Set<{ readonly gpu: GPU }>();

/** Turns of the event loop to wait for scheduled callbacks; one suffices. */
const TURNS = 4;
