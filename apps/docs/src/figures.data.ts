// VitePress runs this while it builds, and hands the result to the components.
import { type Fact, facts, type Speed, speeds } from './figures.ts';

declare const data: { readonly facts: readonly Fact[]; readonly speeds: readonly Speed[] };

export { data };

export default {
  watch: ['../../../docs/performance/results/*.json'],
  load: () => ({ facts: facts(), speeds: speeds() }),
};
