/** What other pages take from the one that compares systems. */
export { figureOf } from '../../src/report/versus/matrix.ts';
export type { VersusPoint, VersusReport } from '../../src/schema/versus.ts';
export type { VersusRequest } from '../../src/versus/request.ts';
export { ChartView } from './chart-view.ts';
export { Comparison, type ComparisonListeners } from './comparison.ts';
