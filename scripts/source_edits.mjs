// Edits a script together with its source map: restores names of classes and limits the length of lines.
import ts from "typescript";

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUES = new Map(Array.from(DIGITS, (digit, value) => [digit, value]));

/** The numbers of a source map's segment: base64 digits of 5 bits, lowest first; the lowest bit of a number is its sign. */
function decodeSegment(text) {
  const numbers = [];
  let value = 0;
  let shift = 0;
  for (const digit of text) {
    const bits = VALUES.get(digit);
    value += (bits & 31) * 2 ** shift;
    shift += 5;
    if (bits & 32) continue;
    numbers.push(value % 2 ? -((value - 1) / 2) : value / 2);
    value = 0;
    shift = 0;
  }
  return numbers;
}

function encodeSegment(numbers) {
  let text = "";
  for (const number of numbers) {
    let value = number < 0 ? 2 * -number + 1 : 2 * number;
    do {
      const bits = value % 32;
      value = Math.floor(value / 32);
      text += DIGITS[value > 0 ? bits + 32 : bits];
    } while (value > 0);
  }
  return text;
}

/**
 * Mappings by lines: what a stack trace needs. Of the segments of a line of the script, those stay that lead to another line
 * of the sources than the segment before. They name no variables: a fifth number would be the index of a name. They lead
 * nowhere instead of to the source of index `left`, which may then be left out.
 */
export function lineMappings(mappings, left = Number.POSITIVE_INFINITY) {
  // Numbers are relative to the segment before: columns of the script within a line, the others throughout.
  const at = [0, 0, 0, 0];
  const written = [0, 0, 0, 0];
  const lines = mappings.split(";").map((line) => {
    const segments = [];
    let place;
    at[0] = written[0] = 0;
    for (const segment of line.split(",").filter((segment) => segment)) {
      const { length } = decodeSegment(segment)
        .slice(0, 4)
        .map((delta, i) => (at[i] += delta));
      const before = place;
      const leads = length > 1 && at[1] !== left;
      place = leads ? `${at[1]}:${at[2]}` : "none";
      if (place === before) continue;
      const numbers = leads ? [at[0], at[1] - Number(at[1] > left), at[2], at[3]] : [at[0]];
      segments.push(encodeSegment(numbers.map((number, i) => number - written[i])));
      numbers.forEach((number, i) => {
        written[i] = number;
      });
    }
    return segments.join(",");
  });
  return lines.join(";");
}

/** The offset of each line of a text. */
function lineBegins(text) {
  const begins = [0];
  for (let i = text.indexOf("\n"); i >= 0; i = text.indexOf("\n", i + 1)) begins.push(i + 1);
  return begins;
}

/** Segments of a map as { offset, rest }. `rest` holds the segment's other numbers, relative to the segment before. */
function segmentsOf(mappings, text) {
  const begins = lineBegins(text);
  return mappings.split(";").flatMap((line, i) => {
    let column = 0;
    return line
      .split(",")
      .filter((segment) => segment)
      .map((segment) => {
        const [delta, ...rest] = decodeSegment(segment);
        column += delta;
        return { offset: begins[i] + column, rest };
      });
  });
}

function mappingsOf(segments, text) {
  const begins = lineBegins(text);
  const lines = begins.map(() => []);
  let line = 0;
  let column = 0;
  for (const { offset, rest } of segments) {
    while (line + 1 < begins.length && begins[line + 1] <= offset) {
      line++;
      column = 0;
    }
    const at = offset - begins[line];
    lines[line].push(encodeSegment([at - column, ...rest]));
    column = at;
  }
  return lines.map((segments) => segments.join(",")).join(";");
}

/**
 * Applies edits to a script and its source map.
 * @param script `{ text, map }`
 * @param edits `{ at, length, text }`: `text` replaces `length` characters at `at`
 */
export function applyEdits({ text, map }, edits) {
  const sorted = [...edits].sort((a, b) => a.at - b.at);
  const segments = segmentsOf(map.mappings, text);
  const parts = [];
  let end = 0;
  let shift = 0;
  let next = 0;
  for (const edit of sorted) {
    for (; next < segments.length && segments[next].offset < edit.at + edit.length; next++) {
      // What is gone has its place where its replacement ends.
      segments[next].offset = shift + Math.min(segments[next].offset, edit.at + edit.text.length);
    }
    parts.push(text.slice(end, edit.at), edit.text);
    end = edit.at + edit.length;
    shift += edit.text.length - edit.length;
  }
  for (; next < segments.length; next++) segments[next].offset += shift;
  const edited = parts.join("") + text.slice(end);
  return { text: edited, map: { ...map, mappings: mappingsOf(segments, edited) } };
}

function parse(text) {
  return ts.createSourceFile("bundle.js", text, ts.ScriptTarget.ESNext, true, ts.ScriptKind.JS);
}

/** Visits a node of a syntax tree and all below it. */
export function visitAll(node, visit) {
  visit(node);
  ts.forEachChild(node, (child) => visitAll(child, visit));
}

/** Positions of the "#" of private methods and accessors. esbuild would shorten their names, and stack traces show them. */
export function privateNames(text) {
  const file = parse(text);
  const methods = new Set();
  visitAll(file, (node) => {
    const isMethod =
      ts.isMethodDeclaration(node) || ts.isGetAccessorDeclaration(node) || ts.isSetAccessorDeclaration(node);
    if (!isMethod || !ts.isPrivateIdentifier(node.name)) return;
    // Fields get names of one letter, and a class may have both.
    if (node.name.text.length < 3) throw new Error(`Cannot keep the name ${node.name.text}: it is too short`);
    methods.add(node.name.text);
  });
  const positions = [];
  visitAll(file, (node) => {
    // A name is kept wherever it stands, even if another class has a field of it.
    if (!ts.isPrivateIdentifier(node) || !methods.has(node.text)) return;
    if (ts.isBinaryExpression(node.parent))
      throw new Error(`Cannot keep the name in ${node.parent.getText()}`);
    positions.push(node.getStart());
  });
  return positions;
}

/** Whether an identifier is a reference to a value, not the name of a property. */
function isReference(node) {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.name !== node;
  // In "import { constants as constants2 }" the first is the other module's.
  if (ts.isBindingElement(parent) || ts.isImportSpecifier(parent)) return parent.propertyName !== node;
  if (ts.isMetaProperty(parent)) return false;
  return !(parent.name === node && (ts.isPropertyAssignment(parent) || ts.isClassElement(parent)));
}

/** Names of variables at the top of a script that hold no function and no class, and are not exported. */
function plainVariables(file) {
  const names = new Set();
  for (const { declarationList, modifiers } of file.statements.filter(ts.isVariableStatement)) {
    if (modifiers) continue;
    for (const { name, initializer } of declarationList.declarations) {
      let isPlain = ts.isIdentifier(name) && !(initializer && ts.isFunctionLike(initializer));
      const check = (node) => {
        if (ts.isClassLike(node)) isPlain = false;
      };
      if (initializer) visitAll(initializer, check);
      if (isPlain) names.add(name.text);
    }
  }
  for (const { exportClause } of file.statements.filter(ts.isExportDeclaration)) {
    // Of `local as exported` neither may change; a variable may have the exported name, too.
    for (const { name, propertyName } of exportClause.elements) {
      names.delete(name.text);
      names.delete(propertyName?.text);
    }
  }
  return names;
}

/** Whether an identifier is the name of a property and its value at once, as in `{ name }`. */
function isShorthand(node) {
  const { parent } = node;
  if (ts.isShorthandPropertyAssignment(parent)) return parent.name === node;
  if (!ts.isBindingElement(parent) || !ts.isObjectBindingPattern(parent.parent)) return false;
  return parent.name === node && !parent.propertyName && !parent.dotDotDotToken;
}

/**
 * Edits that shorten the names of variables at the top of a script, which no stack trace shows. All that has such a name
 * gets the same new one, local variables too, so it does not matter which of them a reference means.
 */
export function shortVariables(text) {
  const file = parse(text);
  const places = new Map([...plainVariables(file)].map((name) => [name, []]));
  const taken = new Set();
  visitAll(file, (node) => {
    if (!ts.isIdentifier(node)) return;
    taken.add(node.text);
    if (isReference(node)) places.get(node.text)?.push(node);
  });
  let next = 0;
  const unused = () => {
    let name;
    do name = `$${(next++).toString(36)}`;
    while (taken.has(name));
    return name;
  };
  // The most frequent ones get the shortest names, and neighbours similar ones, which compresses better.
  const byUse = [...places].sort((a, b) => b[1].length - a[1].length || (a[0] < b[0] ? -1 : 1));
  const sorted = [...byUse.slice(0, 36), ...byUse.slice(36).sort((a, b) => a[1][0].pos - b[1][0].pos)];
  return sorted.flatMap(([name, nodes]) => {
    const short = unused();
    if (short.length >= name.length) return [];
    return nodes.map((node) => ({
      at: node.getStart(),
      length: name.length,
      text: isShorthand(node) ? `${name}:${short}` : short,
    }));
  });
}

/**
 * Edits that move texts of at least `least` characters, which are constants of their own, to the begin of a script. Between
 * functions they compress worse, and make what is behind them compress worse.
 */
export function textsFirst(text, least) {
  const moved = parse(text).statements.filter((statement) => {
    const [constant, ...others] = (!statement.modifiers && statement.declarationList?.declarations) || [];
    const value = constant?.initializer;
    return others.length === 0 && value && ts.isStringLiteralLike(value) && value.text.length >= least;
  });
  const written = moved.map((statement) => `${statement.getText()}\n`).join("");
  const gone = moved.map((statement) => ({
    at: statement.getStart(),
    length: statement.getWidth(),
    text: "",
  }));
  return [{ at: 0, length: 0, text: written }, ...gone];
}

/** Edits that name a class after its variable: `Llama=class e{...e...}` becomes `Llama=class Llama{...Llama...}`. */
export function classNames(text) {
  const edits = [];
  visitAll(parse(text), (node) => {
    if (!ts.isClassExpression(node) || !node.name || !ts.isVariableDeclaration(node.parent)) return;
    const short = node.name.text;
    const name = node.parent.name.text;
    visitAll(node, (inner) => {
      if (!ts.isIdentifier(inner) || inner.text !== short || !isReference(inner)) return;
      edits.push({
        at: inner.getStart(),
        length: short.length,
        text: isShorthand(inner) ? `${short}:${name}` : name,
      });
    });
  });
  return edits;
}

/** Literals as [begin, end, whether a backslash before a newline continues them], in order. */
function literals(file) {
  const ranges = [];
  visitAll(file, (node) => {
    const isText = ts.isStringLiteral(node) || ts.isTemplateLiteralToken(node);
    if (isText || ts.isRegularExpressionLiteral(node)) ranges.push([node.getStart(), node.end, isText]);
  });
  return ranges.sort((a, b) => a[0] - b[0]);
}

/**
 * Edits that break lines of more than `limit` characters. Statements at the top have lines of their own, which compresses
 * better than lines of one length. Within them, lines end after commas, semicolons and opening braces; long texts go on
 * after a backslash.
 */
export function lineBreaks(text, limit) {
  const file = parse(text);
  const ranges = literals(file);
  const ends = new Set(file.statements.map(({ end }) => end));
  const edits = [];
  let range = 0;
  let begin = 0;
  let last = 0;
  let unit = 0;
  const breakAt = (at, written) => {
    edits.push({ at, length: 0, text: written });
    begin = at;
  };
  for (let i = 0; i < text.length; i++) {
    while (range < ranges.length && ranges[range][1] <= i) range++;
    const [first, end, isText] = ranges[range] ?? [text.length];
    // Where a long text may be broken: not within an escape or a surrogate pair.
    if (i === first + 1) unit = i;
    const isUnit = isText && i === unit && i > first && i < end - 2 && end - first > limit / 2;
    if (i === unit) unit += unitAt(text, i).length;
    // A line of one other long token cannot be broken; package_check.mjs reports it.
    if (ends.has(i) && text[i] !== "\n") breakAt(i, "\n");
    else if (i - begin >= limit && last > begin) breakAt(last, "\n");
    else if (isUnit && i - begin >= limit - LONGEST_UNIT) breakAt(i, "\\\n");
    if (text[i] === "\n") begin = i + 1;
    if (i < first && ",;{".includes(text[i])) last = i + 1;
  }
  return edits;
}

/** Characters of the longest unit of a text, `\u{10ffff}`, and the backslash that continues a line. */
const LONGEST_UNIT = 11;

/** What writes one character of a text: an escape or the character. */
function unitAt(text, at) {
  const unit = /\\u\{[^}]*\}|\\u.{4}|\\x..|\\.|./suy;
  unit.lastIndex = at;
  return unit.exec(text)[0];
}

/**
 * Edits that let a bundler drop constants that nothing uses: each whose value may have side effects, for all that a bundler
 * knows, becomes that of a function whose call is marked as pure. The modules of src/ do nothing but define.
 */
export function pureConstants(text) {
  const edits = [];
  for (const statement of parse(text).statements) {
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name, initializer } of statement.declarationList.declarations) {
      if (!initializer || !ts.isIdentifier(name) || !mayHaveEffects(initializer)) continue;
      edits.push({ at: initializer.getStart(), length: 0, text: "/* @__PURE__ */(()=>(" });
      edits.push({ at: initializer.end, length: 0, text: "))()" });
    }
  }
  return edits;
}

function mayHaveEffects(node) {
  if (ts.isFunctionLike(node) || ts.isClassLike(node)) return false;
  const kinds = [ts.isCallExpression, ts.isNewExpression, ts.isSpreadElement, ts.isSpreadAssignment];
  const access = [ts.isPropertyAccessExpression, ts.isElementAccessExpression];
  if ([...kinds, ...access].some((is) => is(node))) return true;
  return ts.forEachChild(node, (child) => mayHaveEffects(child) || undefined) ?? false;
}
