/** Public API: the report's schema and reader, and the run that makes one. */
export { SUITES } from './cases/index.ts';
export { type FoundBackend, findBackends } from './machine/backends.ts';
export { type Observer, type RunOptions, runBench } from './run.ts';
export * from './schema/report.ts';
export { writeReport } from './schema/write.ts';
