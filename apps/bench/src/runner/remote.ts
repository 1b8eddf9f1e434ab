/** A runner behind a channel of messages. */
import { MambaError } from '@mamba/core';
import type { Values } from '../cases/contract.ts';
import type { Failure, RunnerMethods, RunnerRequest, RunnerResponse } from './messages.ts';
import type { Runner } from './runner.ts';

/** Messages to another process, and back. */
export interface Channel {
  send(request: RunnerRequest): void;
  onResponse(listener: (response: RunnerResponse) => void): void;
  /** Calls the listener once, with the reason, when no response will come any more. */
  onEnd(listener: (reason: Error) => void): void;
  close(): Promise<void>;
}

export interface Client {
  call<K extends keyof RunnerMethods>(type: K, body: RunnerMethods[K][0]): Promise<RunnerMethods[K][1]>;
  close(): Promise<void>;
}

export function createClient(channel: Channel): Client {
  const pending = new Map<number, { resolve(body: unknown): void; reject(error: Error): void }>();
  let next = 0;
  let ended: Error | undefined;
  channel.onResponse((response) => {
    const call = pending.get(response.id);
    pending.delete(response.id);
    if ('error' in response) call?.reject(errorOf(response.error));
    else call?.resolve(response.body);
  });
  channel.onEnd((reason) => {
    ended = reason;
    for (const { reject } of pending.values()) reject(reason);
    pending.clear();
  });
  return {
    call<K extends keyof RunnerMethods>(type: K, body: RunnerMethods[K][0]) {
      if (ended !== undefined) return Promise.reject(ended);
      const id = next++;
      return new Promise<RunnerMethods[K][1]>((resolve, reject) => {
        pending.set(id, { resolve: (result) => resolve(result as RunnerMethods[K][1]), reject });
        channel.send({ id, type, body });
      });
    },
    close: () => channel.close(),
  };
}

/** @param client Has an open backend; it is closed with the runner. */
export function remoteRunner(client: Client): Runner {
  return {
    async prepare(_, ref, pause) {
      const { measured, stateBytes } = await unlessStopped(client.call('prepare', ref), pause);
      const entries = Object.entries(measured).map(([measurement, seconds]) => {
        const time = (calls: number): Promise<number> => client.call('time', { measurement, calls });
        return [measurement, seconds === null ? { time } : { seconds }] as const;
      });
      return {
        actual: (): Promise<Values> => client.call('actual', null),
        measured: Object.fromEntries(entries),
        stateBytes: stateBytes ?? undefined,
        memory: () => client.call('memory', null),
        async dispose() {
          // A process that has ended holds nothing any more.
          await client.call('free', null).catch(() => {});
        },
      };
    },
    limit: (bound) => client.call('limit', bound),
    dispose: () => client.close(),
  };
}

/** The result, or the error of `pause` where the run is to stop: the process is then closed with its work undone. */
async function unlessStopped<T>(result: Promise<T>, pause: () => Promise<void>): Promise<T> {
  let settled = false;
  const done = result.then(
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
  return result;
}

function errorOf({ message, code }: Failure): Error {
  return code === undefined ? new Error(message) : new MambaError(code, message);
}
