/** Public API: the run that makes a report, the report's schema and reader, comparison, merging and the page. */
export { SUITES } from './cases/index.ts';
export { type Comparison, compareReports, regressions } from './compare/compare.ts';
export { mergeReports, type NamedReport } from './compare/merge.ts';
export { type FoundBackend, findBackends } from './machine/backends.ts';
export { renderHtml } from './report/html/page.ts';
export type { Observer, RunOptions } from './run/options.ts';
export { runBench } from './run/run.ts';
export * from './schema/report.ts';
export { writeReport } from './schema/write.ts';
