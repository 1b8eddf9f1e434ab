/** The value of a figure that is not known yet. */
export const UNKNOWN = '…';

interface Figure {
  readonly name: string;
  readonly value: string;
  /** Whether it was measured on this device, or follows from a formula. */
  readonly origin: 'measured' | 'computed';
}

/** Figures, each with what it is and where it comes from. */
export function FigureFacts({ label, figures }: { readonly label: string; readonly figures: readonly Figure[] }) {
  return (
    <dl class="figures" aria-label={label}>
      {figures.map(({ name, value, origin }) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            {value}
            {value !== UNKNOWN && <small>{origin}</small>}
          </dd>
        </div>
      ))}
    </dl>
  );
}
