import { linkOf } from '../link.ts';
import type { Playground } from '../playground.ts';
import { Frame } from './frame.tsx';
import { ModelPanel } from './model-panel.tsx';
import { SelectionPanel } from './selection-panel.tsx';
import { TextPanel } from './text-panel.tsx';
import { Welcome } from './welcome.tsx';

const LEAD =
  'A selective state space model, running in this browser. Its memory of all it has read is one state that never grows.';

export function App({ playground }: { readonly playground: Playground }) {
  const { model, status } = playground;
  const copyLink = (): void => {
    const link = linkOf(playground.setting, location.href);
    history.replaceState(undefined, '', link);
    navigator.clipboard.writeText(link).then(
      () => playground.say('The link is copied.'),
      () => playground.say('The link is in the address bar.'),
    );
  };
  return (
    <Frame page="models" lead={LEAD} status={status || (model === undefined ? 'No model is loaded yet.' : 'Ready.')}>
      <ModelPanel playground={playground} onLink={copyLink} />
      {model === undefined ? (
        <Welcome playground={playground} />
      ) : (
        <TextPanel key={model.lm.info.handle} playground={playground} />
      )}
      {model !== undefined && <SelectionPanel playground={playground} />}
    </Frame>
  );
}
