import type { Effort } from '../src/cases/contract.ts';
import type { Report } from '../src/schema/report.ts';

/** From the page to its worker. */
export type Request =
  | {
      readonly type: 'run';
      readonly suites: readonly string[];
      readonly backends: readonly string[];
      readonly effort: Effort;
      /** Of cpu, a candidate for each; empty: as many as it chooses. */
      readonly threads: readonly number[];
    }
  | { readonly type: 'cancel' };

/** From the worker to the page. */
export type Notice =
  | { readonly type: 'begin'; readonly seconds: number }
  | { readonly type: 'step'; readonly label: string }
  | { readonly type: 'advance'; readonly seconds: number }
  | { readonly type: 'partial'; readonly report: Report }
  | { readonly type: 'done'; readonly report: Report }
  | { readonly type: 'failed'; readonly message: string };
