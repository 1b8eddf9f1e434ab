import { Action } from '../../components/action.tsx';
import { LayerField } from '../../components/layer-field.tsx';
import { ShadeLegend } from '../../components/shade-legend.tsx';
import { ShadedText, tokenAfter } from '../../components/shaded-text.tsx';
import { TokenReadout } from '../../components/token-readout.tsx';
import { useTheme } from '../../components/use-theme.ts';
import { shadingOf } from '../../selection/shading.ts';
import type { Showcase } from '../showcase.ts';
import { Failure } from './failure.tsx';
import { Scene } from './scene.tsx';

/** A passage that is shaded by what each layer lets in. */
export function SelectionScene({ showcase: { passage } }: { readonly showcase: Showcase }) {
  const { branch, view, busy } = passage;
  const look = passage.look?.branch === branch ? passage.look : undefined;
  const theme = useTheme();
  const token = look && Math.min(view.token, look.map.tokens - 1);
  const keys = (event: KeyboardEvent): void => {
    const next = look && tokenAfter(event, token!, look.map.tokens);
    if (next !== undefined) passage.setView({ token: next });
  };
  return (
    <Scene
      id="selection"
      title="It chooses what to let in"
      onSeen={() => void passage.write()}
      tale={
        <>
          <p>
            A state of one size cannot hold everything. So for each token, each of the model’s layers decides how wide
            it opens: wide, and the token pushes older things out; hardly, and the token passes by.
          </p>
          <p>
            This choice, the <em>selection</em>, is what Mamba added to its ancestors. Here “spake” gets in, and “unto”
            passes by. Point at a token, or tap it.
          </p>
        </>
      }
    >
      {/* biome-ignore lint/a11y/useSemanticElements: arrow keys go from token to token, which no element has */}
      <div
        class="passage"
        role="group"
        aria-label="Text, shaded by the selection. Arrow keys go from token to token."
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the tokens have to be reached by keyboard
        tabIndex={0}
        onKeyDown={keys}
      >
        <p>
          <ShadedText
            runs={branch?.transcript.segments ?? []}
            shading={shadingOf(look, view, 0)}
            theme={theme}
            chosen={token ?? -1}
            onChoose={(chosen) => passage.setView({ token: chosen })}
          />
        </p>
      </div>
      {look !== undefined && (
        <>
          <TokenReadout look={look} view={view} token={token!} />
          <div class="shades">
            <LayerField
              layer={view.layer}
              layers={look.map.layers.length}
              onChoose={(layer) => passage.setView({ layer })}
            />
            <ShadeLegend theme={theme} />
          </div>
        </>
      )}
      <Failure of={passage} />
      <div class="actions">
        <Action blocked={busy} onClick={() => passage.write()}>
          {look === undefined ? 'Write a passage' : 'Another ending'}
        </Action>
        <span class="hint">Δ, the step that opens a layer, is computed here from the model’s weights.</span>
      </div>
    </Scene>
  );
}
