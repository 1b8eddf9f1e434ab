import { ramp, type Theme } from '../selection/colour.ts';

/** What the colours of delta mean. */
export function ShadeLegend({ theme }: { readonly theme: Theme }) {
  return (
    <span class="legend" aria-hidden="true">
      passes over
      <i style={{ background: `linear-gradient(to right, ${ramp(theme).join(', ')})` }} />
      lets in
    </span>
  );
}
