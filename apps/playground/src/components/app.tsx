import type { Playground } from '../playground.ts';
import { Frame } from './frame.tsx';
import { ModelPanel } from './model-panel.tsx';
import { SelectionPanel } from './selection-panel.tsx';
import { TextPanel } from './text-panel.tsx';
import { Welcome } from './welcome.tsx';

const LEAD =
  'A selective state space model, running in this browser. Its memory of all it has read is one state that never grows.';

export function App({ playground }: { readonly playground: Playground }) {
  const { model, error, status } = playground;
  return (
    <Frame
      page="models"
      lead={LEAD}
      error={error}
      onDismiss={() => playground.dismissError()}
      status={status || (model === undefined ? 'No model is loaded yet.' : 'Ready.')}
    >
      <ModelPanel playground={playground} />
      {model === undefined ? (
        <Welcome />
      ) : (
        <TextPanel key={model.lm.info.handle} playground={playground} model={model} />
      )}
      {model !== undefined && <SelectionPanel playground={playground} />}
    </Frame>
  );
}
