"""What stands between the names of StreamAlert 3 and the host of today.

| module | answers |
|---|---|
| load | what does a repository hold, and what of it can be had |
| when | which records can a function not report, whatever it does |
| rules, publishers | a component's own side |
| host | what the names of StreamAlert ask the host for |
"""
