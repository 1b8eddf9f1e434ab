import { BackendChoice } from '../../components/backend-choice.tsx';
import { Frame } from '../../components/frame.tsx';
import type { Training } from '../training.ts';
import { HeadsPanel } from './heads-panel.tsx';
import { HeadsResults } from './heads-results.tsx';
import { TuningPanel } from './tuning-panel.tsx';
import { TuningResults } from './tuning-results.tsx';

const LEAD =
  'Watch a small Mamba model learn, from its first step on, and teach another one a text of yours. All of it runs in ' +
  'this browser, in a worker; nothing is sent anywhere.';

export function App({ training }: { readonly training: Training }) {
  return (
    <Frame
      page="training"
      lead={LEAD}
      error={training.error}
      onDismiss={() => training.dismissError()}
      status={training.status || 'Nothing is trained yet.'}
    >
      <section class="panel across" aria-label="Backend">
        <BackendChoice
          legend="Train on"
          backends={training.backends}
          chosen={training.backend}
          onChoose={(backend) => training.choose(backend)}
        />
      </section>
      <HeadsPanel training={training} />
      <HeadsResults training={training} />
      <TuningPanel training={training} />
      <TuningResults training={training} />
    </Frame>
  );
}
