import { type HeadsAccuracy, MEAN_STEPS } from '../heads.ts';
import { runningMeans } from '../summary.ts';

interface AccuracyTableProps {
  readonly accuracies: readonly HeadsAccuracy[];
  readonly losses: readonly number[];
  readonly trained: readonly number[];
}

/** All that was measured, the latest first. */
export function AccuracyTable({ accuracies, losses, trained }: AccuracyTableProps) {
  const means = runningMeans(losses, MEAN_STEPS);
  const lengths = accuracies[0]!.results.map(({ length }) => length);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
    <section class="values" tabIndex={0} aria-label="Loss and right answers by step">
      <table>
        <caption>Loss, and right answers of {accuracies[0]!.results[0]!.answers} at each length</caption>
        <thead>
          <tr>
            <th scope="col">Step</th>
            <th scope="col">Loss</th>
            {lengths.map((length) => (
              <th scope="col" key={length}>
                {length}
                {!trained.includes(length) && <span class="unseen">, not trained</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {[...accuracies].reverse().map(({ step, results }) => (
            <tr key={step}>
              <th scope="row">{step}</th>
              <td>{means[step - 1]?.toFixed(3) ?? '–'}</td>
              {results.map(({ length, right }) => (
                <td key={length}>{right}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
