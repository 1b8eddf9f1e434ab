/** A seat beyond a channel of messages. */
import { MambaError } from '@mamba/core';
import type { Values } from '../cases/contract.ts';
import type { Answer, Ask, Failure, Questions } from './messages.ts';
import type { Seat } from './seat.ts';

/** Messages to another process, and back. */
export interface Channel {
  send(ask: Ask): void;
  onAnswer(listener: (answer: Answer) => void): void;
  /** Told once, with the reason, where no answer will come any more. */
  onEnd(listener: (reason: Error) => void): void;
  close(): Promise<void>;
}

export interface Asker {
  ask<K extends keyof Questions>(type: K, body: Questions[K][0]): Promise<Questions[K][1]>;
  close(): Promise<void>;
}

export function createAsker(channel: Channel): Asker {
  const waiting = new Map<number, { resolve(body: unknown): void; reject(error: Error): void }>();
  let next = 0;
  let ended: Error | undefined;
  channel.onAnswer((answer) => {
    const asked = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ('error' in answer) asked?.reject(errorOf(answer.error));
    else asked?.resolve(answer.body);
  });
  channel.onEnd((reason) => {
    ended = reason;
    for (const { reject } of waiting.values()) reject(reason);
    waiting.clear();
  });
  return {
    ask<K extends keyof Questions>(type: K, body: Questions[K][0]) {
      if (ended !== undefined) return Promise.reject(ended);
      const id = next++;
      return new Promise<Questions[K][1]>((resolve, reject) => {
        waiting.set(id, { resolve: (answer) => resolve(answer as Questions[K][1]), reject });
        channel.send({ id, type, body });
      });
    },
    close: () => channel.close(),
  };
}

/** @param asker With an open backend; closed with the seat. */
export function remoteSeat(asker: Asker): Seat {
  return {
    async prepare(_, ref, pause) {
      const { measured, stateBytes } = await heeding(asker.ask('prepare', ref), pause);
      const entries = Object.entries(measured).map(([measurement, seconds]) => {
        const time = (calls: number): Promise<number> => asker.ask('time', { measurement, calls });
        return [measurement, seconds === null ? { time } : { seconds }] as const;
      });
      return {
        actual: (): Promise<Values> => asker.ask('actual', null),
        measured: Object.fromEntries(entries),
        stateBytes: stateBytes ?? undefined,
        memory: () => asker.ask('memory', null),
        async dispose() {
          // A process that is gone has freed it.
          await asker.ask('free', null).catch(() => {});
        },
      };
    },
    limit: (bound) => asker.ask('limit', bound),
    dispose: () => asker.close(),
  };
}

/** The answer; or what `pause` throws meanwhile, where the run is to stop: the process is then closed with its work undone. */
async function heeding<T>(answer: Promise<T>, pause: () => Promise<void>): Promise<T> {
  let settled = false;
  const done = answer.then(
    () => {
      settled = true;
    },
    () => {
      settled = true;
    },
  );
  while (!settled) {
    await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 50))]);
    if (!settled) await pause();
  }
  return answer;
}

function errorOf({ message, code }: Failure): Error {
  return code === undefined ? new Error(message) : new MambaError(code, message);
}
