// Runs templates: bounded, by Python's rules, and with texts that know their source.
import { testNamed } from "./conditions.ts";
import { filterNamed } from "./filters.ts";
import { type Meter, TemplateFault } from "./limits.ts";
import { Loop, type LoopState } from "./loop.ts";
import type { Machine } from "./machine.ts";
import { type MarkedText, TextBuilder } from "./marked_text.ts";
import { methodOf } from "./methods.ts";
import { binary, itemAt, slice } from "./operators.ts";
import type { Node } from "./parse_template.ts";
import { printed } from "./printing.ts";
import { NO_ITEM, RECURSIVE, WITH } from "./rewrite.ts";
import { Scope } from "./scope.ts";
import {
  type Arguments,
  boolean,
  call,
  dict,
  float,
  fn,
  integer,
  isDict,
  isList,
  isMissing,
  isNumber,
  isText,
  iterate,
  type Key,
  keyOf,
  list,
  missing,
  nameOf,
  none,
  numeric,
  setEntry,
  text,
  truth,
  tuple,
  type Value,
} from "./values.ts";

/** Nodes that write nothing by themselves. */
const silent = new Set(["Set", "If", "For", "Macro", "Break", "Continue"]);

/** Runs one template once. */
export class TemplateInterpreter implements Machine {
  readonly meter: Meter;
  #out = new TextBuilder();
  /** Whether a loop is being left, or one of its rounds. */
  #leaving: "no" | "break" | "continue" = "no";

  constructor(meter: Meter) {
    this.meter = meter;
  }

  /** Text of a program. @throws TemplateFault, UnsupportedError */
  render(program: Node, scope: Scope): MarkedText {
    this.#run(program.body, scope);
    return this.#out;
  }

  evaluate(node: Node | undefined, scope: Scope): Value {
    if (node === undefined) return missing();
    const { meter } = this;
    meter.step();
    meter.enter();
    try {
      return this.#evaluate(node, scope);
    } finally {
      meter.leave();
    }
  }

  #evaluate(node: Node, scope: Scope): Value {
    switch (node.type) {
      case "StringLiteral":
        return text(node.value as string);
      case "IntegerLiteral":
        return integer(node.value as number);
      case "FloatLiteral":
        return float(node.value as number);
      case "Identifier":
        return scope.find(node.value as string, this.meter);
      case "MemberExpression":
        return this.#member(node, scope);
      case "CallExpression":
        return this.#call(node, scope);
      case "BinaryExpression":
        return this.#binary(node, scope);
      case "UnaryExpression":
        return this.#unary(node, scope);
      case "FilterExpression":
        return this.#applyFilter(this.evaluate(node.operand, scope), node.filter, scope);
      case "TestExpression": {
        const is = this.test(node.test.value as string, this.evaluate(node.operand, scope), []);
        return boolean(is !== node.negate);
      }
      case "Ternary":
        return truth(this.evaluate(node.condition, scope))
          ? this.evaluate(node.trueExpr, scope)
          : this.evaluate(node.falseExpr, scope);
      // `a if b`, without an else.
      case "SelectExpression":
        return truth(this.evaluate(node.test, scope)) ? this.evaluate(node.lhs, scope) : missing();
      case "ArrayLiteral":
        return list((node.value as Node[]).map((item) => this.evaluate(item, scope)));
      case "TupleLiteral": {
        const items = (node.value as Node[]).filter((item) => item.value !== NO_ITEM);
        return tuple(items.map((item) => this.evaluate(item, scope)));
      }
      case "ObjectLiteral":
        return this.#object(node, scope);
      default:
        return this.#statement(node, scope);
    }
  }

  /** Runs a statement. What it gives is text, or nothing for those that are {@link silent}. */
  #statement(node: Node, scope: Scope): Value {
    switch (node.type) {
      case "Set":
        return this.#set(node, scope);
      case "If":
        return this.#if(node, scope);
      case "For":
        return this.#for(node, scope);
      case "Break":
      case "Continue":
        this.#leaving = node.type === "Break" ? "break" : "continue";
        return none();
      case "Macro":
        scope.set(node.name.value as string, this.#macro(node.args, node.body, scope));
        return none();
      case "CallStatement":
        return this.#callBlock(node, scope);
      case "FilterStatement":
        return node.filter.callee?.value === WITH
          ? this.#with(node, scope)
          : this.#applyFilter(this.#block(node.body, scope), node.filter, scope);
      default:
        throw new TemplateFault(`Unknown node type: ${node.type}`);
    }
  }

  /** The text of a block that is no part of the output yet: of a macro, a call, a filter, a set. */
  #block(nodes: readonly Node[], scope: Scope): Value {
    return this.#written(() => this.#run(nodes, scope));
  }

  /** What `run` writes, which is no part of the output yet. */
  #written(run: () => void): Value {
    const outer = this.#out;
    this.#out = new TextBuilder();
    try {
      run();
      return text(this.#out.text, this.#out.marks);
    } finally {
      this.#out = outer;
    }
  }

  #run(nodes: readonly Node[], scope: Scope): void {
    for (const node of nodes) {
      if (this.#leaving !== "no") return;
      const value = this.evaluate(node, scope);
      if (silent.has(node.type)) continue;
      const shown = printed(value, this.meter);
      this.meter.units(shown.value.length);
      this.meter.step((shown.marks?.length ?? 0) >> 3);
      this.meter.length(this.#out.length + shown.value.length);
      this.#out.add(shown.value, shown.marks);
    }
  }

  #arguments(args: readonly Node[], scope: Scope): Arguments {
    if (args.length === 0) return noArguments;
    const positional: Value[] = [];
    const { meter } = this;
    meter.step(args.length);
    let hasNames = false;
    for (const node of args) {
      if (node.type === "SpreadExpression") {
        const items = iterate(this.evaluate(node.argument, scope), meter);
        meter.step(items.length);
        for (const item of items) positional.push(item);
      } else if (node.type.startsWith("Keyword")) {
        hasNames = true;
      } else {
        const value = this.evaluate(node, scope);
        if (isDict(value)) meter.step(value.value.size);
        positional.push(value);
      }
    }
    // As in Python, arguments with names come last, wherever they stand.
    return { positional, keywords: hasNames ? this.#keywords(args, scope) : noArguments.keywords };
  }

  #keywords(args: readonly Node[], scope: Scope): Map<string, Value> {
    const keywords = new Map<string, Value>();
    const add = (key: string, value: Value) => {
      if (keywords.has(key)) throw new TemplateFault(`Got multiple values for keyword argument '${key}'`);
      keywords.set(key, value);
    };
    for (const { type, key, value, argument } of args) {
      if (type === "KeywordArgumentExpression") {
        add(key.value as string, this.evaluate(value as Node, scope));
      } else if (type === "KeywordSpreadExpression") {
        const given = this.evaluate(argument, scope);
        if (given.type !== "ObjectValue") throw new TemplateFault(`${nameOf(given)} is not a mapping`);
        const entries = given.value as Map<Key, Value>;
        this.meter.step(entries.size);
        for (const [name, item] of entries) add(String(name), item);
      }
    }
    return keywords;
  }

  #call(node: Node, scope: Scope): Value {
    const callee = this.evaluate(node.callee, scope);
    const args = this.#arguments(node.args, scope);
    return callee instanceof Loop ? callee.again(args) : call(callee, args, scope);
  }

  #binary(node: Node, scope: Scope): Value {
    if (node.operator.isChained) return this.#chain(node, scope);
    const operator = node.operator.value;
    const left = this.evaluate(node.left, scope);
    if (operator === "and") return truth(left) ? this.evaluate(node.right, scope) : left;
    if (operator === "or") return truth(left) ? left : this.evaluate(node.right, scope);
    return binary(operator, left, this.evaluate(node.right, scope), this.meter);
  }

  /** `a < b < c`: what stands in the middle is evaluated once, and the rest not at all after what does not hold. */
  #chain(last: Node, scope: Scope): Value {
    const nodes: Node[] = [];
    for (let node = last; ; node = node.left) {
      nodes.push(node);
      if (!node.operator.isChained) break;
    }
    nodes.reverse();
    let left = this.evaluate(nodes[0]?.left, scope);
    let holds: Value = boolean(true);
    for (const node of nodes) {
      const right = this.evaluate(node.right, scope);
      holds = binary(node.operator.value, left, right, this.meter);
      if (!truth(holds)) break;
      left = right;
    }
    return holds;
  }

  #member(node: Node, scope: Scope): Value {
    const object = this.evaluate(node.object, scope);
    const { property } = node;
    if (!node.computed) {
      const name = property.value as string | number;
      return typeof name === "number" ? this.#item(object, integer(name)) : this.#attribute(object, name);
    }
    if (property.type === "SliceExpression") {
      const bound = (part: Node | undefined) => this.evaluate(part, scope);
      return slice(object, [bound(property.start), bound(property.stop), bound(property.step)], this.meter);
    }
    return this.#item(object, this.evaluate(property, scope));
  }

  member(value: Value, name: Value): Value {
    return this.#item(value, name);
  }

  /** `object.name`: a method before an entry, as in Python. */
  #attribute(object: Value, name: string): Value {
    if (isMissing(object)) throw new TemplateFault(nameOf(object).replace(", which", ""));
    if (object instanceof Loop) return object.get(name);
    return methodOf(object, name, this) ?? entry(object, name) ?? missing(name);
  }

  /** `object[key]`: an entry before a method. */
  #item(object: Value, key: Value): Value {
    if (isMissing(object)) throw new TemplateFault(nameOf(object).replace(", which", ""));
    if (isMissing(key)) return missing();
    if (isDict(object)) {
      const isKey = !isList(key) || key.type === "TupleValue";
      const found = isKey ? entry(object, keyOf(key, this.meter)) : undefined;
      if (found) return found;
    } else if ((isList(object) || isText(object)) && /^(Integer|Boolean)Value$/.test(key.type)) {
      return itemAt(object, Number(key.value), this.meter);
    }
    if (!isText(key)) return missing(isNumber(key) ? String(key.value) : undefined);
    if (object instanceof Loop) return object.get(key.value);
    return methodOf(object, key.value, this) ?? missing(key.value);
  }

  #unary(node: Node, scope: Scope): Value {
    const value = this.evaluate(node.argument, scope);
    const { value: operator } = node.operator;
    if (operator === "not") return boolean(!truth(value));
    const number = numeric(value);
    if (number === undefined)
      throw new TemplateFault(`bad operand type for unary ${operator}: ${nameOf(value)}`);
    return (value.type === "FloatValue" ? float : integer)(operator === "-" ? -number : number);
  }

  #set(node: Node, scope: Scope): Value {
    let target = node.assignee;
    // `{% set x | upper %}...{% endset %}`
    const filters: Node[] = [];
    for (; target.type === "FilterExpression"; target = target.operand) filters.unshift(target.filter);
    let value = node.value ? this.evaluate(node.value as Node, scope) : this.#block(node.body, scope);
    for (const filter of filters) value = this.#applyFilter(value, filter, scope);
    if (target.type !== "MemberExpression" || target.computed) {
      this.#assign(target, value, scope);
      return none();
    }
    const object = this.evaluate(target.object, scope);
    if (object.type !== "NamespaceValue") {
      throw new TemplateFault(`cannot assign attribute on ${nameOf(object)}`);
    }
    (object.value as Map<Key, Value>).set(target.property.value as string, value);
    return none();
  }

  #object(node: Node, scope: Scope): Value {
    const made = dict();
    for (const [key, value] of node.value as Map<Node, Node>) {
      setEntry(made, this.evaluate(key, scope), this.evaluate(value, scope), this.meter);
    }
    return made;
  }

  #applyFilter(value: Value, node: Node, scope: Scope): Value {
    const isCall = node.type === "CallExpression";
    const name = (isCall ? node.callee : node).value as string;
    const args = isCall ? this.#arguments(node.args, scope) : noArguments;
    // How the lexer writes tests with arguments.
    if (!name.startsWith("is ")) return this.filter(name, value, args);
    const isNegated = name.startsWith("is not ");
    const test = name.slice(isNegated ? 7 : 3);
    return boolean(this.test(test, value, args.positional) !== isNegated);
  }

  filter(name: string, value: Value, args: Arguments): Value {
    const filter = filterNamed(name);
    if (!filter) throw new TemplateFault(`No filter named '${name}'`);
    for (const given of [value, ...args.positional, ...args.keywords.values()]) {
      this.meter.step();
      if (isText(given)) this.meter.units(given.value.length);
    }
    return filter(value, args, this);
  }

  test(name: string, value: Value, args: readonly Value[]): boolean {
    const test = testNamed(name);
    if (!test) throw new TemplateFault(`No test named '${name}'`);
    if (isText(value) && name !== "defined" && name !== "string") this.meter.units(value.value.length);
    return test(value, args, this.meter);
  }

  call(callee: Value, args: Arguments): Value {
    return call(callee, args, new Scope());
  }

  #if(node: Node, scope: Scope): Value {
    let branch = node;
    while (!truth(this.evaluate(branch.test, scope))) {
      const [next] = branch.alternate;
      if (branch.alternate.length !== 1 || next?.type !== "If") {
        this.#run(branch.alternate, scope);
        return none();
      }
      this.meter.step();
      branch = next;
    }
    this.#run(branch.body, scope);
    return none();
  }

  #with({ filter, body }: Node, scope: Scope): Value {
    const { positional, keywords } = this.#arguments(filter.args, scope);
    if (positional.length > 0) throw new TemplateFault("Expected names and values for with");
    const inner = new Scope(scope);
    for (const [name, value] of keywords) inner.set(name, value);
    this.#run(body, inner);
    return text("");
  }

  #for(node: Node, scope: Scope): Value {
    const { iterable } = node;
    const select = iterable.type === "SelectExpression" ? iterable : undefined;
    const from = select ? select.lhs : iterable;
    const isRecursive = from.type === "FilterExpression" && from.filter.value === RECURSIVE;
    const parts = { node, test: select?.test, isRecursive };
    this.#loop(parts, this.evaluate(isRecursive ? from.operand : from, scope), scope, 0);
    return none();
  }

  #loop(parts: LoopParts, of: Value, scope: Scope, depth0: number): void {
    const { node, test } = parts;
    let items = iterate(of, this.meter);
    if (test) {
      items = items.filter((item) => {
        const inner = new Scope(scope);
        this.#assign(node.loopvar, item, inner);
        return truth(this.evaluate(test, inner));
      });
    }
    if (items.length === 0) this.#run(node.defaultBlock, new Scope(scope));
    const again = ({ positional: [next] }: Arguments): Value => {
      if (!parts.isRecursive || !next)
        throw new TemplateFault("Expected a loop marked as recursive, and items");
      return this.#written(() => this.#loop(parts, next, scope, depth0 + 1));
    };
    const shared: LoopState = { items, depth0, again, meter: this.meter, last: undefined };
    // A list may grow while a loop goes through it.
    for (let i = 0; i < items.length; i++) {
      this.meter.step();
      const inner = new Scope(scope);
      inner.set("loop", new Loop(shared, i));
      this.#assign(node.loopvar, items[i] as Value, inner);
      this.#run(node.body, inner);
      const leaving = this.#leaving;
      this.#leaving = "no";
      if (leaving === "break") break;
    }
  }

  #assign(target: Node, value: Value, scope: Scope): void {
    if (target.type === "Identifier") {
      scope.set(target.value as string, value);
      return;
    }
    if (target.type !== "TupleLiteral") throw new TemplateFault("Expected names to assign to");
    const targets = target.value as readonly Node[];
    this.meter.step(targets.length);
    const values = iterate(value, this.meter);
    if (values.length !== targets.length) {
      throw new TemplateFault(`Expected ${targets.length} values to unpack, got ${values.length}`);
    }
    targets.forEach((inner, i) => {
      this.#assign(inner, values[i] as Value, scope);
    });
  }

  /** A function that runs a block: it sees what is where it was written. */
  #macro(parameters: readonly Node[], body: readonly Node[], scope: Scope): Value {
    return fn(({ positional, keywords }, caller) => {
      this.meter.step(parameters.length);
      const inner = new Scope(scope);
      const callBlock = caller.own("caller");
      if (callBlock) inner.set("caller", callBlock);
      const left = new Map(keywords);
      const defaults: [string, Node][] = [];
      parameters.forEach((parameter, i) => {
        const name = (parameter.type === "Identifier" ? parameter : parameter.key).value as string;
        const given = positional[i] ?? left.get(name);
        left.delete(name);
        if (!given && parameter.type !== "Identifier") defaults.push([name, parameter.value as Node]);
        inner.set(name, given ?? missing(name));
      });
      inner.set("varargs", tuple(positional.slice(parameters.length)));
      inner.set("kwargs", dict(left as Map<Key, Value>));
      for (const [name, value] of defaults) inner.set(name, this.evaluate(value, inner));
      return this.#block(body, inner);
    });
  }

  #callBlock(node: Node, scope: Scope): Value {
    const inner = new Scope();
    inner.set("caller", this.#macro(node.callerArgs ?? [], node.body, scope));
    const { callee, args } = node.call;
    return call(this.evaluate(callee, scope), this.#arguments(args, scope), inner);
  }
}

const noArguments: Arguments = { positional: [], keywords: new Map() };

function entry(object: Value, key: Key): Value | undefined {
  return isDict(object) ? object.value.get(key) : undefined;
}

interface LoopParts {
  readonly node: Node;
  readonly test: Node | undefined;
  readonly isRecursive: boolean;
}
