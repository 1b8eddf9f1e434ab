// VitePress runs this while it builds, and hands the result to the component.
import { type Support, support } from './support.ts';

declare const data: readonly Support[];

export { data };

export default { watch: ['../../../docs/performance/results/environments*.json'], load: support };
