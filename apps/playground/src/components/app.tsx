import type { Playground } from '../playground.ts';
import { ModelPanel } from './model-panel.tsx';
import { SelectionPanel } from './selection-panel.tsx';
import { TextPanel } from './text-panel.tsx';
import { Welcome } from './welcome.tsx';

export function App({ playground }: { readonly playground: Playground }) {
  const { model, error, status } = playground;
  return (
    <>
      <header class="masthead">
        <h1>
          Mamba <span>playground</span>
        </h1>
        <p>
          A selective state space model, running in this browser. Its memory of all it has read is one state that never
          grows.
        </p>
      </header>
      <main>
        {error !== undefined && (
          <div class="error" role="alert">
            <p>{error}</p>
            <button type="button" class="quiet" onClick={() => playground.dismissError()}>
              Dismiss
            </button>
          </div>
        )}
        <ModelPanel playground={playground} />
        {model === undefined ? (
          <Welcome />
        ) : (
          <TextPanel key={model.lm.info.handle} playground={playground} model={model} />
        )}
        {model !== undefined && <SelectionPanel playground={playground} />}
      </main>
      <footer class="statusbar">
        <p role="status">{status || (model === undefined ? 'No model is loaded yet.' : 'Ready.')}</p>
      </footer>
    </>
  );
}
