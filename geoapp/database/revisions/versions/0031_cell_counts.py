"""sql/migrations/0031_cell_counts"""

from geoapp.database.revisions.sql_revision import sql_revision

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

upgrade, downgrade = sql_revision("0031_cell_counts")
