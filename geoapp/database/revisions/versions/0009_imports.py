"""sql/migrations/0009_imports"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0009_imports")
