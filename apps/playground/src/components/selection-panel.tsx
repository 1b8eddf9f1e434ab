import { useMemo, useRef, useState } from 'preact/hooks';
import { download } from '../download.ts';
import { count } from '../format.ts';
import type { Playground } from '../playground.ts';
import type { Look } from '../selection/looks.ts';
import { pictureOf } from '../selection/picture.ts';
import { describe, format, quoted, ranges, type Scale, visible } from '../selection/summary.ts';
import { ErrorNote } from './error-note.tsx';
import { HeatMap } from './heat-map.tsx';
import { LayerField } from './layer-field.tsx';
import { ShadeLegend } from './shade-legend.tsx';
import { useTheme } from './use-theme.ts';

/** What the colours of a map span, in words. */
const SPANS: Readonly<Record<Scale, string>> = { layer: 'each layer by itself', all: 'all layers together' };

/** Shows delta of each token in each layer. */
export function SelectionPanel({ playground }: { readonly playground: Playground }) {
  const { watching, look, looking, error } = playground;
  return (
    <section class="panel selection" aria-labelledby="selection-heading" aria-busy={looking}>
      <div class="heading">
        <h2 id="selection-heading">The selection at work</h2>
        <label class="switch">
          <input
            type="checkbox"
            checked={watching}
            onChange={(event) => playground.watch(event.currentTarget.checked)}
          />
          <span>Watch</span>
        </label>
      </div>
      <p class="lead">
        For each token, each layer chooses a step size <var>Δ</var>. A large one lets the token in and forgets what was
        before; a small one passes over it and keeps the state. Shown is the mean over a layer’s channels.
      </p>
      {error?.place === 'selection' && <ErrorNote words={error.words} onDismiss={() => playground.dismissError()} />}
      {look !== undefined ? (
        <Shown playground={playground} look={look} />
      ) : (
        <p class="hint">{!watching ? 'Not watching.' : looking ? 'Computing …' : 'There is no text yet.'}</p>
      )}
    </section>
  );
}

interface ShownProps {
  readonly playground: Playground;
  readonly look: Look;
}

function Shown({ playground, look: { map, labels, skipped } }: ShownProps) {
  const theme = useTheme();
  const { scale, ...chosen } = playground.view;
  const token = Math.min(chosen.token, map.tokens - 1);
  const layer = Math.min(chosen.layer, map.layers.length - 1);
  const spans = useMemo(() => ranges(map, scale), [map, scale]);
  const description = useMemo(() => describe(map, labels), [map, labels]);
  const where = layer < 0 ? 'all layers' : `layer ${layer + 1}`;
  const picture = useRef<HTMLElement>(null);
  const saveImage = (): void => {
    const { color: ink } = getComputedStyle(picture.current!);
    const { backgroundColor: paper } = getComputedStyle(picture.current!.closest('.panel')!);
    const canvas = pictureOf({
      ...{ map, spans, theme, labels, paper, ink },
      title: `Δ of ${count(map.tokens, 'token')} in each layer: ${playground.model!.title}`,
      note: `colours span ${SPANS[scale]}`,
    });
    canvas.toBlob((blob) => {
      if (blob !== null) download(blob, `selection-of-${map.tokens}-tokens.png`);
    });
  };

  return (
    <>
      {skipped > 0 && (
        <p class="hint">
          The last {count(map.tokens, 'token')}, read from an empty state: the {count(skipped, 'token')} before are left
          out.
        </p>
      )}
      <div class="pickers">
        <LayerField layer={layer} layers={map.layers.length} onChoose={(layer) => playground.setView({ layer })} />
        <label class="field">
          Colours span
          <select value={scale} onChange={(event) => playground.setView({ scale: event.currentTarget.value as Scale })}>
            {Object.entries(SPANS).map(([value, words]) => (
              <option key={value} value={value}>
                {words}
              </option>
            ))}
          </select>
        </label>
        <label class="field wide">
          Token {token + 1} of {map.tokens}
          <input
            type="range"
            min={0}
            max={map.tokens - 1}
            value={token}
            aria-valuetext={`${token + 1}, ${quoted(labels[token]!)}`}
            onInput={(event) => playground.setView({ token: Number(event.currentTarget.value) })}
          />
        </label>
      </div>
      <figure ref={picture}>
        <HeatMap
          {...{ map, spans, theme, token, layer, description }}
          onChoose={(token, layer) => playground.setView({ token, layer })}
        />
        <figcaption>
          <span>Layers from top to bottom, tokens from left to right; the text is shaded by {where}.</span>
          <ShadeLegend theme={theme} />
        </figcaption>
      </figure>
      <div class="actions">
        <button type="button" onClick={saveImage}>
          Save the map as an image
        </button>
      </div>
      <Values map={map} labels={labels} />
    </>
  );
}

/** A table of the numbers, which is made only when it is opened. */
function Values({ map, labels }: Pick<Look, 'map' | 'labels'>) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>The numbers, as a table</summary>
      {open && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
        <section class="values" tabIndex={0} aria-label="Mean delta by token and layer">
          <table>
            <caption>Mean Δ by token and layer</caption>
            <thead>
              <tr>
                <th scope="col">Token</th>
                {map.layers.map((_, index) => (
                  <th scope="col" key={index}>
                    Layer {index + 1}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {labels.map((label, token) => (
                <tr key={token}>
                  <th scope="row">{visible(label)}</th>
                  {map.layers.map((values, index) => (
                    <td key={index}>{format(values[token]!)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </details>
  );
}
