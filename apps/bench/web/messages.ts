import type { Effort } from '../src/cases/contract.ts';
import type { Report } from '../src/schema/report.ts';

/** A message from the page to its worker. */
export type Request =
  | {
      readonly type: 'run';
      readonly suites: readonly string[];
      readonly backends: readonly string[];
      readonly effort: Effort;
      /** Numbers of threads of cpu, a candidate for each. Empty: its default. */
      readonly threads: readonly number[];
    }
  | { readonly type: 'cancel' };

/** A message from the worker to the page. */
export type Notice =
  | { readonly type: 'begin'; readonly seconds: number }
  | { readonly type: 'step'; readonly label: string }
  | { readonly type: 'advance'; readonly seconds: number }
  | { readonly type: 'partial'; readonly report: Report }
  | { readonly type: 'done'; readonly report: Report }
  | { readonly type: 'failed'; readonly message: string };
