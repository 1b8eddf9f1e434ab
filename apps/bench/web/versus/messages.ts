import type { VersusNotice, VersusRequest } from '../../src/versus/request.ts';

/** A message from the page to its worker. */
export type ToWorker =
  | { readonly type: 'run'; readonly backend: string; readonly request: VersusRequest }
  | { readonly type: 'stop' };

/** A message from the worker to the page. */
export type FromWorker = VersusNotice | { readonly type: 'failed'; readonly message: string };
