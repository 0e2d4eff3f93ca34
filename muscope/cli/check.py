"""`muscope check`: a study trained and judged here and now, without server or database."""

from pathlib import Path

import typer

from muscope.cli import check_options as options


def check(
    spec: options.Target = None,
    *,
    as_json: options.AsJson = False,
    report: options.Report = None,
    csv: options.Csv = None,
    threads: options.Threads = 0,
    stop_early: options.StopEarly = False,
    record_every: options.RecordEvery = 0,
    fault: options.Fault = "",
    fail_on: options.FailOn = "",
    junit: options.Junit = None,
    markdown: options.Markdown = None,
    baseline: options.BaselineFile = None,
    write_baseline: options.WriteBaseline = None,
    widths: options.Widths = "",
    depths: options.Depths = "",
    seeds: options.Seeds = 0,
    steps: options.Steps = 0,
    parametrize: options.Parametrize = "",
    optimizer: options.Optimizer = "",
    lr: options.Rate = 0.0,
    roles: options.Roles = None,
    write_roles: options.WriteRoles = None,
    traceback: options.Traceback = False,
) -> None:
    """Train a grid of widths and judge every tensor: does it grow, shrink, or keep its size?

    Without STUDY.yaml the demo runs: SP and µP on a transformer and an MLP,
    about a minute.

    Your own model: FILE.py defines build(width) or build(width, depth=None),
    which returns (module, optimizer), or a module with --optimizer; and
    batch(seed), which returns (inputs, targets) or a dict. It may define
    loss(model, batch). The file is executed as any Python program is.

    Examples:
      muscope check
      muscope check my_model.py:build --widths 64,128,256,512
      muscope check f.py --parametrize mup --optimizer adamw --lr 3e-3
      muscope check study.yaml --report report.html --csv measurements.csv
      muscope check f.py --fail-on grows,shrinks,diverged --junit junit.xml

    A whole study.yaml:
      name: My first check
      arms:
        - model: {name: mlp, batch_size: 64}
          optimizers: [{name: adamw, learning_rate: 3e-3}]
      parametrizations: [{name: sp}, {name: mup}]
      widths: [64, 128, 256, 512]

    Exit codes:
      0    it ran, and nothing of --fail-on was found
      1    something was, or a width of your model could not be run; or the
           demo, without --fail-on, did not show what it should
      2    the study, an option or the baseline cannot be used
      3    nothing of --fail-on, but worse than the --baseline
      130  interrupted
    """
    # reading takes a second, torch takes several, and somebody may be waiting for a sign of life
    typer.echo(f"reading {spec}" if spec else "planning the demo", err=True)
    # --help must not wait for pydantic, scipy and torch
    from muscope.cli import checking, own_checking, plugging
    from muscope.cli.checking import AskedOfStudy, Outputs
    from muscope.cli.gating import AskedOfGate, Gate
    from muscope.cli.own_checking import Asked
    from muscope.cli.preflight import Refusal
    from muscope.plugins import PluginError

    own = Asked(
        target=spec or "",
        widths=widths,
        depths=depths,
        seeds=seeds,
        steps=steps,
        parametrize=parametrize,
        optimizer=optimizer,
        lr=lr,
        roles=roles,
        write_roles=write_roles,
        traceback=traceback,
    )
    study = AskedOfStudy(
        Path(spec) if spec else None,
        stop_early=stop_early,
        record_every=record_every,
        fault=fault,
    )
    outputs = Outputs(as_json=as_json, report=report, csv=csv)
    gate = None
    try:
        plugging.use_installed()
        gate = Gate.of(AskedOfGate(fail_on, junit, markdown, baseline, write_baseline))
        if own_checking.is_own(own.target):
            study.refuse_for_own()
            code = own_checking.run(own, outputs, gate, threads=threads)
        else:
            own_checking.refuse_for_study(own)
            code = checking.run(study, outputs, gate, threads=threads)
    except (Refusal, PluginError) as refusal:
        typer.echo(f"muscope check: {refusal}", err=True)
        if gate:
            gate.refuse(spec or "demo", str(refusal))
        raise typer.Exit(2) from refusal
    except KeyboardInterrupt:
        typer.echo("muscope check: stopped", err=True)
        raise typer.Exit(130) from None
    raise typer.Exit(code)
