/** What other pages take from the one that compares systems. */
export type { VersusReport } from '../../src/schema/versus.ts';
export type { VersusRequest } from '../../src/versus/request.ts';
export { ChartView } from './chart-view.ts';
export { Comparison } from './comparison.ts';
