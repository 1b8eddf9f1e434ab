interface LayerFieldProps {
  /** The chosen layer; -1 for all. */
  readonly layer: number;
  /** The number of layers. */
  readonly layers: number;
  readonly onChoose: (layer: number) => void;
}

/** Chooses the layer whose delta shades the text. */
export function LayerField({ layer, layers, onChoose }: LayerFieldProps) {
  return (
    <label class="field">
      Layer
      <select value={layer} onChange={(event) => onChoose(Number(event.currentTarget.value))}>
        <option value={-1}>All layers</option>
        {Array.from({ length: layers }, (_, index) => (
          <option key={index} value={index}>
            {index + 1}
          </option>
        ))}
      </select>
    </label>
  );
}
