// VitePress runs this while it builds, and hands the result to the components.
import { type Picture, pictures } from './pictures/index.ts';

declare const data: readonly Picture[];

export { data };

export default { watch: ['../../../docs/performance/results/*.json'], load: pictures };
